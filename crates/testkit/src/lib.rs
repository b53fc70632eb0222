//! Throwaway databases on both engines, a hand-moved clock, a simulator at hand
