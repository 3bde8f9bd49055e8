"""The words that made-up recipes are made of: foods with what is in them, and dishes with how they are cooked."""

from __future__ import annotations

from enum import Enum

import msgspec

#: Neutral name of a nutrient -> its unit and the recommended daily intake, for an adult on 2,000 kcal.
NUTRIENTS: dict[str, tuple[str, float]] = {
    "energy": ("kcal", 2000),
    "protein": ("g", 50),
    "fat": ("g", 65),
    "saturated_fat": ("g", 20),
    "carbohydrates": ("g", 275),
    "fibre": ("g", 28),
    "sugar": ("g", 90),
    "cholesterol": ("mg", 300),
    "sodium": ("mg", 2300),
    "potassium": ("mg", 3500),
    "calcium": ("mg", 1000),
    "iron": ("mg", 18),
    "vitamin_a": ("ug", 900),
    "vitamin_c": ("mg", 82),
}


class Trait(Enum):
    """What somebody may not eat, by its letter in the table below."""

    MEAT = "m"
    FISH = "f"
    DAIRY = "d"
    EGG = "e"
    GLUTEN = "g"
    GRAIN = "a"
    LEGUME = "l"
    FODMAP = "p"


class Food(msgspec.Struct, frozen=True, kw_only=True):
    """One ingredient: how much of it a serving takes, and what is in 100 g."""

    id: int
    name: str
    amount: float
    #: None for what is counted.
    unit: str | None
    grams_per_unit: float
    per_100_g: dict[str, float]
    traits: frozenset[Trait]


class Dish(msgspec.Struct, frozen=True, kw_only=True):
    """One way of cooking something; `{main}` in the steps stands for it. Times are in minutes."""

    name: str
    courses: tuple[str, ...]
    cuisines: tuple[str, ...]
    preparation_minutes: int
    cooking_minutes: int
    extras: tuple[str, ...]
    steps: tuple[str, ...]


def _read_foods(table: str, first_id: int) -> dict[str, Food]:
    """Read lines of name, amount, unit, grams per unit, the nutrients of `NUTRIENTS` in 100 g, and traits."""
    foods: dict[str, Food] = {}
    for number, line in enumerate(table.strip().splitlines(), first_id):
        name, amount, unit, grams, *contents, traits = line.split()
        name = name.replace("_", " ")
        foods[name] = Food(
            id=number,
            name=name,
            amount=float(amount),
            unit=None if unit == "-" else unit,
            grams_per_unit=float(grams),
            per_100_g=dict(zip(NUTRIENTS, map(float, contents), strict=True)),
            traits=frozenset(Trait(letter) for letter in traits if letter != "-"),
        )
    return foods


MAINS = _read_foods(
    """
    chicken      150 g 1  165 31  3.6 1.0  0   0   0    85  74  256 15  1.0 6   0    m
    beef         150 g 1  217 26  12  4.7  0   0   0    80  66  318 18  2.6 0   0    m
    pork         150 g 1  242 27  14  5.0  0   0   0    80  62  423 19  0.9 2   0.6  m
    lamb         150 g 1  258 25  17  7.0  0   0   0    97  72  310 17  1.9 0   0    m
    turkey       150 g 1  189 29  7.0 2.0  0   0   0    95  103 239 14  1.1 0   0    m
    ham          100 g 1  145 21  6.0 2.0  1.5 0   0    53  1203 287 8  0.9 0   0    m
    salmon       150 g 1  206 22  12  2.5  0   0   0    63  61  384 15  0.3 69  3.7  f
    tuna         120 g 1  130 29  0.6 0.2  0   0   0    47  54  527 4   0.9 20  0    f
    shrimp       120 g 1  99  24  0.3 0.1  0.2 0   0    189 111 259 70  0.5 0   0    f
    cod          150 g 1  105 23  0.9 0.2  0   0   0    55  78  244 14  0.5 14  1.0  f
    tofu         125 g 1  144 17  9.0 1.3  3.0 2.3 0.6  0   14  237 683 2.7 0   0.2  l
    lentil       0.5 cup 198  116 9.0 0.4 0.1 20 7.9 1.8 0 2   369 19  3.3 0   1.5  lp
    chickpea     0.5 cup 164  164 8.9 2.6 0.3 27 7.6 4.8 0 7   291 49  2.9 1   1.3  lp
    black_bean   0.5 cup 172  132 8.9 0.5 0.1 24 8.7 0.3 0 1   355 27  2.1 0   0    lp
    tomato       2 - 120  18  0.9 0.2 0    3.9 1.2 2.6  0   5   237 10  0.3 42  14   -
    potato       2 - 150  87  1.9 0.1 0    20  1.8 0.9  0   4   379 5   0.3 0   13   -
    sweet_potato 1 - 180  86  1.6 0.1 0    20  3.0 4.2  0   55  337 30  0.6 709 2.4  -
    carrot       2 - 60   41  0.9 0.2 0    9.6 2.8 4.7  0   69  320 33  0.3 835 5.9  -
    broccoli     1.5 cup 90  34 2.8 0.4 0.1 6.6 2.6 1.7 0   33  316 47  0.7 31  89   -
    cauliflower  1.5 cup 107 25 1.9 0.3 0.1 5.0 2.0 1.9 0   30  299 22  0.4 0   48   p
    spinach      100 g 1  23  2.9 0.4 0.1  3.6 2.2 0.4  0   79  558 99  2.7 469 28   -
    kale         80 g 1   35  2.9 1.5 0.2  4.4 4.1 1.0  0   53  348 254 1.6 241 93   -
    mushroom     120 g 1  22  3.1 0.3 0.1  3.3 1.0 2.0  0   5   318 3   0.5 0   2.1  p
    zucchini     1 - 196  17  1.2 0.3 0.1  3.1 1.0 2.5  0   8   261 16  0.4 10  18   -
    eggplant     0.5 - 450 25 1.0 0.2 0    5.9 3.0 3.5  0   2   229 9   0.2 1   2.2  -
    pumpkin      200 g 1  26  1.0 0.1 0.1  6.5 0.5 2.8  0   1   340 21  0.8 426 9.0  -
    pepper       1 - 120  31  1.0 0.3 0    6.0 2.1 4.2  0   4   211 7   0.4 157 128  -
    corn         0.75 cup 145 86 3.3 1.4 0.3 19 2.0 6.3 0   15  270 2   0.5 9   6.8  a
    pea          0.75 cup 145 81 5.4 0.4 0.1 14 5.7 5.7 0   5   244 25  1.5 38  40   lp
    beet         1 - 82   43  1.6 0.2 0    9.6 2.8 6.8  0   78  325 16  0.8 2   4.9  p
    cabbage      150 g 1  25  1.3 0.1 0    5.8 2.5 3.2  0   18  170 40  0.5 5   37   -
    leek         1 - 89   61  1.5 0.3 0    14  1.8 3.9  0   20  180 59  2.1 83  12   p
    asparagus    120 g 1  20  2.2 0.1 0    3.9 2.1 1.9  0   2   202 24  2.1 38  5.6  p
    """,
    first_id=1001,
)

EXTRAS = _read_foods(
    """
    olive_oil       1 tbsp 13.5  884 0   100 14  0   0   0   0   2   1   1    0.6 0    0    -
    butter          0.5 tbsp 14  717 0.9 81  51  0.1 0   0.1 215 11  24  24   0   684  0    d
    onion           0.5 - 110    40  1.1 0.1 0   9.3 1.7 4.2 0   4   146 23   0.2 0    7.4  p
    garlic          1 clove 3    149 6.4 0.5 0.1 33  2.1 1.0 0   17  401 181  1.7 0    31   p
    salt            1 pinch 0.4  0   0   0   0   0   0   0   0   38758 8 24   0.3 0    0    -
    spaghetti       90 g 1       371 13  1.5 0.3 75  3.2 2.7 0   6   223 21   3.3 0    0    g
    rice            75 g 1       365 7.1 0.7 0.2 80  1.3 0.1 0   5   115 28   0.8 0    0    a
    egg_noodles     80 g 1       384 14  4.4 1.2 71  3.3 1.9 84  21  244 35   4.0 17   0    ge
    vegetable_stock 1 cup 240    5   0.2 0   0   1.0 0   0.6 0   300 30  5    0.1 15   0    -
    coconut_milk    100 ml 1     230 2.3 24  21  6.0 2.2 3.3 0   15  263 16   1.6 0    2.8  -
    curry_powder    1 tsp 2      325 14  14  1.6 56  53  2.8 0   52  1170 525 19  1    0.7  -
    cream           30 ml 1      340 2.8 36  23  2.7 0   2.9 137 27  95  66   0.1 411  0.6  d
    parmesan        15 g 1       431 38  29  17  4.1 0   0.9 88  1529 125 1109 0.9 207 0    d
    cheddar         30 g 1       403 23  33  19  3.1 0   0.5 99  653 76  710  0.1 337  0    d
    corn_tortilla   2 - 30       218 5.7 2.9 0.5 45  6.3 0.9 0   45  186 81   1.2 0    0    a
    bread           2 slice 30   265 9.0 3.2 0.7 49  2.7 5.0 0   491 115 260  3.6 0    0    g
    puff_pastry     60 g 1       558 7.0 38  10  46  1.5 0.8 0   253 62  10   2.6 0    0    gd
    lettuce         50 g 1       15  1.4 0.2 0   2.9 1.3 0.8 0   28  194 36   0.9 370  9.0  -
    lemon_juice     1 tbsp 15    22  0.4 0.2 0   6.9 0.3 2.5 0   1   103 6    0.1 0    39   -
    soy_sauce       1 tbsp 16    53  8.0 0.6 0.1 4.9 0.8 0.4 0   5493 435 33  1.5 0    0    gl
    ginger          1 tsp 2      80  1.8 0.8 0.2 18  2.0 1.7 0   13  415 16   0.6 0    5.0  -
    paprika         0.5 tsp 2.3  282 14  13  2.1 54  35  10  0   68  2280 229 21  2463 1.0  -
    yogurt          40 ml 1      61  3.5 3.3 2.1 4.7 0   4.7 13  46  155 121  0.1 27   0.5  d
    cucumber        60 g 1       15  0.7 0.1 0   3.6 0.5 1.7 0   2   147 16   0.3 5    2.8  -
    mayonnaise      1 tbsp 14    680 1.0 75  12  0.6 0   0.6 42  635 20  8    0.2 65   0    e
    breadcrumbs     0.25 cup 108 395 13  5.3 1.2 72  4.5 6.2 0   732 196 183  4.8 0    0    g
    """,
    first_id=2001,
)

DISHES = (
    Dish(name="pasta", courses=("lunch", "main course", "dinner"), cuisines=("Italian", "Mediterranean"),
         preparation_minutes=10, cooking_minutes=15,
         extras=("spaghetti", "olive oil", "garlic", "parmesan", "salt"),
         steps=("Boil the spaghetti in salted water.", "Fry the {main} with the garlic in the oil.",
                "Toss everything together and top it with parmesan.")),
    Dish(name="soup", courses=("soup", "starter"), cuisines=("French", "British", "American"),
         preparation_minutes=10, cooking_minutes=25,
         extras=("vegetable stock", "onion", "butter", "salt"),
         steps=("Soften the onion in the butter.", "Add the {main} and the stock, and simmer until tender.",
                "Season and serve hot.")),
    Dish(name="salad", courses=("salad", "side dish"), cuisines=("Greek", "American", "Mediterranean"),
         preparation_minutes=15, cooking_minutes=0,
         extras=("lettuce", "cucumber", "olive oil", "lemon juice", "salt"),
         steps=("Tear the lettuce and slice the cucumber.", "Cut the {main} into bites.",
                "Dress with oil, lemon juice and salt.")),
    Dish(name="curry", courses=("main course", "dinner"), cuisines=("Indian", "Thai"),
         preparation_minutes=15, cooking_minutes=30,
         extras=("coconut milk", "curry powder", "onion", "garlic", "rice", "salt"),
         steps=("Fry onion, garlic and curry powder.", "Add the {main} and the coconut milk; simmer.",
                "Serve with boiled rice.")),
    Dish(name="stew", courses=("main course", "dinner"), cuisines=("British", "French", "Greek"),
         preparation_minutes=20, cooking_minutes=70,
         extras=("vegetable stock", "onion", "garlic", "paprika", "olive oil", "salt"),
         steps=("Brown the {main} in the oil.", "Add onion, garlic, paprika and stock.",
                "Cover and stew over low heat.")),
    Dish(name="risotto", courses=("main course", "dinner"), cuisines=("Italian",),
         preparation_minutes=10, cooking_minutes=30,
         extras=("rice", "vegetable stock", "onion", "butter", "parmesan"),
         steps=("Soften the onion in half of the butter and add the rice.", "Add the stock ladle by ladle.",
                "Stir in the {main}, the parmesan and the rest of the butter.")),
    Dish(name="tacos", courses=("lunch", "main course"), cuisines=("Mexican",),
         preparation_minutes=15, cooking_minutes=10,
         extras=("corn tortilla", "lettuce", "paprika", "olive oil", "lemon juice", "salt"),
         steps=("Fry the {main} with paprika in the oil.", "Warm the tortillas.",
                "Fill them with {main} and lettuce, and squeeze lemon over.")),
    Dish(name="pie", courses=("main course", "dinner"), cuisines=("British", "American"),
         preparation_minutes=25, cooking_minutes=45,
         extras=("puff pastry", "cream", "onion", "butter", "salt"),
         steps=("Cook the {main} with the onion in the butter.", "Stir in the cream and fill a dish.",
                "Cover with the pastry and bake until golden.")),
    Dish(name="casserole", courses=("main course", "dinner"), cuisines=("American", "French"),
         preparation_minutes=15, cooking_minutes=50,
         extras=("vegetable stock", "cheddar", "breadcrumbs", "onion", "salt"),
         steps=("Layer {main} and onion in a dish.", "Pour the stock over.",
                "Top with cheddar and breadcrumbs, and bake.")),
    Dish(name="stir-fry", courses=("main course", "dinner"), cuisines=("Chinese", "Thai", "Korean"),
         preparation_minutes=10, cooking_minutes=8,
         extras=("soy sauce", "ginger", "garlic", "olive oil", "rice"),
         steps=("Boil the rice.", "Stir-fry ginger, garlic and {main} over high heat.", "Finish with soy sauce.")),
    Dish(name="noodles", courses=("lunch", "main course"), cuisines=("Chinese", "Japanese", "Korean"),
         preparation_minutes=10, cooking_minutes=12,
         extras=("egg noodles", "soy sauce", "ginger", "garlic", "olive oil"),
         steps=("Boil the noodles.", "Fry ginger, garlic and {main} in the oil.",
                "Toss with the noodles and the soy sauce.")),
    Dish(name="gratin", courses=("side dish", "main course"), cuisines=("French",),
         preparation_minutes=15, cooking_minutes=40,
         extras=("cream", "cheddar", "butter", "salt"),
         steps=("Slice the {main} into a buttered dish.", "Pour the cream over and season.",
                "Top with cheddar and bake.")),
    Dish(name="sandwich", courses=("lunch", "snack"), cuisines=("American", "British"),
         preparation_minutes=10, cooking_minutes=0,
         extras=("bread", "lettuce", "mayonnaise"),
         steps=("Toast the bread and spread the mayonnaise.", "Pile on {main} and lettuce.", "Close and cut in half.")),
    Dish(name="skewers", courses=("main course", "fingerfood"), cuisines=("Greek", "Middle Eastern"),
         preparation_minutes=20, cooking_minutes=12,
         extras=("yogurt", "lemon juice", "paprika", "olive oil", "salt"),
         steps=("Marinate the {main} in yogurt, lemon juice and paprika.", "Thread it onto skewers.",
                "Grill, turning often.")),
)  # fmt: skip

ADJECTIVES = ("spicy", "creamy", "quick", "rustic", "smoky", "fresh", "hearty")
