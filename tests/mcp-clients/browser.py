"""The browser of a user who lets a program in: opens the page, and sends its form."""

import html
import os
import re
import urllib.error
import urllib.parse
import urllib.request


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))


def let_in(url):
    """Returns the parameters with which the browser returns to the program."""
    page = OPENER.open(url).read().decode()
    origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
    fields = [("request", html.unescape(re.search('name="request" value="([^"]*)"', page)[1])), ("decision", "allow")]
    fields += [("scope", scope) for scope in re.findall('name="scope" value="([^"]*)"', page)]
    fields += [("client_id", os.environ["CLIENT_ID"]), ("api_key", os.environ["API_KEY"])]
    form = urllib.parse.urlencode(fields).encode()
    action = urllib.parse.urljoin(url, re.search('action="([^"]*)"', page)[1])
    try:
        OPENER.open(urllib.request.Request(action, form, {"Origin": origin}))
    except urllib.error.HTTPError as answer:
        assert answer.code == 303, answer.read()
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
    raise AssertionError("the page was shown again")
