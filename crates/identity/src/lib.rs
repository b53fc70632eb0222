//! Who is calling: the organization, its environments, the administrator's token and console sessions
