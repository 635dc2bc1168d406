//! The part of the table of operations with which a browser gets the dashboard. None needs a token: the files are the same
//! for everybody, and what they show comes from the other operations.

use std::future::ready;

use http::Method;

use super::descriptions;
use super::handlers::dashboard::{PAGE, SCRIPT, STYLE};
use super::operation::{Access, Operation, operation};

/// The files of the dashboard.
pub(super) fn dashboard_operations() -> Vec<Operation> {
    use Access::Anyone;
    vec![
        operation(
            "dashboard",
            Method::GET,
            "/",
            &descriptions::DASHBOARD,
            Anyone(|context| Box::pin(ready(Ok(PAGE.serve(&context))))),
        ),
        operation(
            "dashboardScript",
            Method::GET,
            "/dashboard/app.js",
            &descriptions::DASHBOARD_SCRIPT,
            Anyone(|context| Box::pin(ready(Ok(SCRIPT.serve(&context))))),
        ),
        operation(
            "dashboardStyle",
            Method::GET,
            "/dashboard/app.css",
            &descriptions::DASHBOARD_STYLE,
            Anyone(|context| Box::pin(ready(Ok(STYLE.serve(&context))))),
        ),
    ]
}
