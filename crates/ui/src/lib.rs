//! The console's shell: layout, components, charts, forms and assets
