"""A plain script: what could be cooked, and what is in it.

$ python script.py lentil soup
"""

from __future__ import annotations

import sys
from uuid import uuid4

from fairlead import FairleadError
from fairlead.sync import Fairlead


def main(wish: str) -> None:
    """Print three recipes, whichever vendor knows them."""
    run_id = uuid4().hex  # joins all that this run did, in the vendors' logs and in ours
    with Fairlead.from_config() as fl:
        page = fl.recipes.search(wish, deadline_s=5, correlation_id=run_id)
        for recipe in page.items[:3]:
            nutrition = fl.recipes.nutrition(recipe.ref, deadline_s=5, correlation_id=run_id)
            energy = nutrition.amount("energy")
            print(f"{recipe.title}: {energy} kcal ({page.served_by})")


if __name__ == "__main__":
    try:
        main(" ".join(sys.argv[1:]) or "pasta")
    except FairleadError as error:
        sys.exit(f"{error} ({error.code})")  # what happened, to whom, and what to do
    except KeyboardInterrupt:
        sys.exit(130)  # the call was cancelled, and its socket is closed
