//! `dashboard`, `dashboardScript` and `dashboardStyle`: what a browser gets. What people do there is in tests/it/browser.rs.

use http::Method;

use crate::support::app::TestApp;
use crate::support::client::Answer;

const FILES: [(&str, &str); 3] = [
    ("/", "text/html; charset=utf-8"),
    ("/dashboard/app.js", "text/javascript; charset=utf-8"),
    ("/dashboard/app.css", "text/css; charset=utf-8"),
];

async fn get(app: &TestApp, path: &str, known: &str) -> Answer {
    Answer::unchecked(app.client().anonymous(Method::GET, path).header("if-none-match", known)).await
}

#[tokio::test]
async fn every_file_has_its_type_and_a_policy_without_exceptions() {
    let app = TestApp::start().await;
    let mut bytes = 0;
    for (path, content_type) in FILES {
        let file = get(&app, path, "").await;
        assert_eq!((file.status, file.header("content-type")), (200, content_type), "{path}");
        let policy = file.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        for directive in ["form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(directive), "{directive} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!((file.header("x-content-type-options"), file.header("referrer-policy")), ("nosniff", "no-referrer"));
        bytes += file.text.len();
    }
    assert!(bytes < 150_000, "{bytes} bytes before compression");
}

#[tokio::test]
async fn a_browser_asks_each_time_and_gets_a_file_once() {
    let app = TestApp::start().await;
    let mut tags = Vec::new();
    for (path, _) in FILES {
        let first = get(&app, path, "").await;
        let tag = first.header("etag").to_owned();
        assert_eq!(first.header("cache-control"), "public, no-cache");
        let again = get(&app, path, &tag).await;
        assert_eq!((again.status, &*again.text, again.header("etag")), (304, "", &*tag), "{path}");
        assert_eq!(get(&app, path, "\"of another release\"").await.text, first.text);
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), FILES.len(), "each file has a tag of its own: {tags:?}");
}

/// Behind a proxy with a prefix the page finds its files and the API, because all its addresses are relative.
#[tokio::test]
async fn the_page_has_nothing_inline_and_only_relative_addresses() {
    let app = TestApp::start().await;
    let html = get(&app, "/", "").await.text;
    let addresses = html.split(" src=\"").skip(1).chain(html.split(" href=\"").skip(1));
    for address in addresses.map(|rest| rest.split('"').next().unwrap()) {
        assert!(!address.starts_with('/') && !address.contains("://") || address.starts_with("data:"), "{address}");
    }
    assert!(!html.contains("<style") && !html.contains("style=") && !html.contains(" on"), "{html}");
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("<script type=\"module\" src=\"dashboard/app.js\"></script>"), "{html}");
}
