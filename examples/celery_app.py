"""Celery: an order that is placed once, however often the task is run.

$ celery -A celery_app worker --concurrency 2
$ celery -A celery_app call celery_app.place_order --args '["tea", 3]'
$ celery -A celery_app result <what the call printed>
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from fairlead import FairleadError
from fairlead.sync import Fairlead

# A broker of files, which needs no server. Yours is Redis or RabbitMQ.
FOLDER = Path("celery-files").absolute()
for name in ("queue", "control", "results"):
    (FOLDER / name).mkdir(parents=True, exist_ok=True)

app = Celery("shop", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{FOLDER}/queue",
    "data_folder_out": f"{FOLDER}/queue",
    "control_folder": f"{FOLDER}/control",
}
# One for all: made at import, before the pool forks, it has an event loop and sockets of its own in every process.
fl = Fairlead.from_config()


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=5)
def place_order(self: Any, item: str, quantity: int) -> str:
    """Place an order, and return its id.

    The key is that of the task: the same when it is retried, and when it is delivered again because its worker died.
    So the shop knows the order. An error says by `retry_after_s` whether a repeat may make sense, and when; without it
    (the order is refused, or nobody knows what became of it) a person must look.
    """
    try:
        answer = fl.http("shop").post(
            "/orders",
            json={"item": item, "quantity": quantity},
            idempotency_key=f"place-order-{self.request.id}",
            correlation_id=self.request.root_id,
            deadline_s=10,
        )
    except FairleadError as error:
        if error.retry_after_s is None:
            raise
        raise self.retry(exc=error, countdown=error.retry_after_s) from None
    order: dict[str, str] = answer.json()
    return order["id"]
