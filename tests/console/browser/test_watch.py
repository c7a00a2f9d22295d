"""What every browser test looks for is found where it is: a test that cannot fail proves nothing."""

from __future__ import annotations

import pytest

from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town
from tests.run.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("() => console.error('broken')", "error: broken"),
        ("() => { setTimeout(() => { throw new Error('nobody catches it') }); }", "exception: nobody catches it"),
        ("() => fetch('https://elsewhere.example/').catch(() => 0)", "Content Security Policy"),
        (
            "() => { const s = document.createElement('script'); s.text = '1'; document.body.append(s); }",
            "inline script",
        ),
    ],
)
async def test_a_page_that_misbehaves_is_noticed(town: Town, visit: Visit, script: str, fault: str) -> None:
    visitor = await visit(None)
    await visitor.open("/sign-in")
    visitor.watch.check()
    await visitor.page.evaluate(script)
    faults = await until(lambda: list(visitor.watch.faults))
    assert fault in "\n".join(faults)
    visitor.watch.faults.clear()


async def test_what_is_inaccessible_is_noticed(town: Town, visit: Visit) -> None:
    visitor = await visit(None)
    await visitor.open("/sign-in")
    await visitor.check_access()
    await visitor.page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        await visitor.check_access()


async def test_what_is_too_wide_is_noticed(town: Town, visit: Visit) -> None:
    visitor = await visit(None)
    await visitor.open("/sign-in")
    await visitor.check_width()
    await visitor.page.evaluate(
        "() => { const p = document.createElement('p'); p.className = 'wide'; p.textContent = 'x'; "
        "p.style.setProperty('width', '3000px'); document.querySelector('main').append(p); }"
    )
    with pytest.raises(AssertionError, match="wider than the screen"):
        await visitor.check_width()
