//! The dashboard: a page, its script and its style. `dashboard/` has the sources, and builds what is included here.

use super::static_file::StaticFile;

/// `dashboard`
pub(in crate::http) static PAGE: StaticFile = StaticFile::page(include_bytes!("../../../dashboard/dist/index.html"));

/// `dashboardScript`
pub(in crate::http) static SCRIPT: StaticFile = StaticFile::script(include_bytes!("../../../dashboard/dist/app.js"));

/// `dashboardStyle`
pub(in crate::http) static STYLE: StaticFile = StaticFile::style(include_bytes!("../../../dashboard/dist/app.css"));
