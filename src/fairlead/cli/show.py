"""How each kind of answer looks on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from fairlead.capabilities.email import EmailReceipt, EmailStatus
from fairlead.capabilities.recipes import Nutrition, Recipe
from fairlead.cli.console import new_table, plain
from fairlead.model.answer import Answer
from fairlead.model.message import Response
from fairlead.model.page import Page


def print_answer(answer: Answer, console: Console) -> None:
    """Print an answer for people."""
    match answer:
        case Page():
            print_page(answer, console)
        case Recipe():
            print_recipe(answer, console)
        case Nutrition():
            print_nutrition(answer, console)
        case EmailReceipt():
            print_receipt(answer, console)
        case EmailStatus():
            console.print(f"{plain(str(answer.ref))}: {plain(', '.join(answer.events) or 'nothing is known yet')}")
        case Response():
            console.out(answer.text)


def answer_document(answer: Answer) -> Any:
    """Return an answer as JSON has it; the body of a plain call is JSON where it can be, and text where not."""
    if not isinstance(answer, Response):
        return answer
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = answer.text
    return {"status": answer.status, "headers": dict(answer.headers), "body": body, "call": answer.call}


def print_page(page: Page[Recipe], console: Console) -> None:
    """Print a line for each recipe."""
    table = new_table("recipe", "minutes", "serves", "reference", numbers=("minutes", "serves"))
    table.columns[-1].no_wrap = True  # it is there to be copied
    for recipe in page:
        minutes = "" if recipe.total_time_s is None else f"{recipe.total_time_s // 60}"
        serves = "" if recipe.servings is None else f"{recipe.servings:g}"
        table.add_row(plain(recipe.title), minutes, serves, plain(str(recipe.ref)))
    console.print(table if page.items else "Nothing was found.")
    if page.total:
        console.print(f"[dim]{len(page)} of {page.total}[/]")


def print_recipe(recipe: Recipe, console: Console) -> None:
    """Print a whole recipe, and whom to name beside it."""
    console.print(f"[bold]{plain(recipe.title)}[/]")
    for ingredient in recipe.ingredients:
        console.print(f"  • {plain(ingredient.text)}")
    for number, step in enumerate(recipe.steps, 1):
        console.print(f"  {number}. {plain(step)}")
    for attribution in recipe.attributions:
        console.print(f"[dim]{plain(attribution.text)} {plain(attribution.url or '')}[/]")


def print_receipt(receipt: EmailReceipt, console: Console) -> None:
    """Print what became of a message for each recipient, and the reference by which to ask on."""
    table = new_table("address", "taken", "reason")
    for each in receipt.recipients:
        table.add_row(plain(each.email), each.taken.value, plain(each.reason or ""))
    console.print(table)
    console.print(plain(str(receipt.ref)))


def print_nutrition(nutrition: Nutrition, console: Console) -> None:
    """Print the nutrients of one serving."""
    table = new_table("nutrient", "amount", "daily", numbers=("amount", "daily"))
    for each in nutrition.nutrients:
        daily = "" if each.daily_percent is None else f"{each.daily_percent:.0f} %"
        table.add_row(plain(each.code), f"{each.amount:.4g} {each.unit}", daily)
    console.print(table)
