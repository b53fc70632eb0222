//! Pages that cross slices: the overview, live updates, health
