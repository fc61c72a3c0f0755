"""Commands on receivers of events, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson

app = typer.Typer(no_args_is_help=True, help="Who is told of events, by webhook or e-mail.")

ReceiverId = Annotated[int, typer.Argument(help="The receiver's id.")]
ONCE = "Keep the secret: it is shown this once."


@app.command("list")
def list_receivers(
    *,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    as_json: AsJson = False,
) -> None:
    """The receivers, newest first."""
    with terminal.calling() as client:
        found = client.receivers.list(team=team, endpoint=endpoint)
    if as_json:
        terminal.show_json(found)
        return
    lines = [
        (one["id"], one["address"], ", ".join(one["events"]), one["team"] or "all", one["endpoint"], _state(one))
        for one in found
    ]
    terminal.show_table(("id", "address", "events", "team", "endpoint", "state"), lines)


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="A URL, https://…, or an e-mail address.")],
    *,
    event: Annotated[list[str], typer.Option(help="Such as abtest.ended, batch.* or *; several times for several.")],
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    team: Annotated[str | None, typer.Option(help="Of this team.")] = None,
    all_teams: Annotated[bool, typer.Option("--all-teams", help="Of all teams.")] = False,
    administration: Annotated[
        bool, typer.Option("--administration", help="Also of keys, people and teams. Needs the scope admin.")
    ] = False,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Have events told to an address; the secret that webhooks are signed with is shown this once."""
    if team is not None and all_teams:
        raise typer.BadParameter("it goes without --team.", param_hint="--all-teams")
    with terminal.calling() as client:
        made = client.receivers.add(
            address,
            event,
            endpoint=endpoint,
            team=team,
            all_teams=all_teams,
            administration=administration,
            description=description,
        )
    if as_json:
        terminal.show_json(made)
        return
    terminal.say(f"Receiver {made['id']}: {made['address']} is told of {', '.join(made['events'])}.")
    if made["secret"]:
        terminal.say(f"Secret: {made['secret']}")
        terminal.say(ONCE)


@app.command()
def remove(receiver_id: ReceiverId) -> None:
    """Take a receiver away; what waits for it is not sent any more."""
    with terminal.calling() as client:
        client.receivers.remove(receiver_id)
    terminal.say(f"Receiver {receiver_id} is removed.")


@app.command("test")
def try_out(receiver_id: ReceiverId, as_json: AsJson = False) -> None:
    """Send a receiver an event to try it with; a worker does it."""
    with terminal.calling() as client:
        delivery = client.receivers.test(receiver_id)
    if as_json:
        terminal.show_json(delivery)
        return
    terminal.say(f"Delivery {delivery['uid']} is on its way; ml-pipeline receivers deliveries {receiver_id} shows it.")


@app.command()
def deliveries(
    receiver_id: ReceiverId,
    *,
    state: Annotated[str | None, typer.Option(help="Only queued, delivered or failed ones.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the latest.", min=1, max=1_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """What is on its way to a receiver, and what was, newest first."""
    with terminal.calling() as client:
        found = client.receivers.deliveries(receiver_id, limit=limit, state=state)
    if as_json:
        terminal.show_json(found)
        return
    lines = [
        (one["created_at"], one["type"], one["state"], one["attempts"], one["last_error"], one["uid"]) for one in found
    ]
    terminal.show_table(("when", "event", "state", "attempts", "what went wrong last", "delivery"), lines)


@app.command()
def rotate(receiver_id: ReceiverId, as_json: AsJson = False) -> None:
    """Another secret for a receiver, shown this once; for a day webhooks are signed with the old one too."""
    with terminal.calling() as client:
        changed = client.receivers.rotate(receiver_id)
    if as_json:
        terminal.show_json(changed)
        return
    terminal.say(f"Secret: {changed['secret']}")
    terminal.say(f"{ONCE} The one before is used as well until {changed['previous_until_at']}.")


def _state(receiver: dict[str, Any]) -> str:
    if not receiver["is_active"]:
        return "switched off"
    return "away" if receiver["failures"] else "active"
