//! Two database engines behind one query type, with tenants, migrations and grouped commits
