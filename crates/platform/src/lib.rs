//! Jobs, schedule, notices, problems, configuration, telemetry and the shape of a slice
