//! What people see: figures, their proof, and what days were for.
