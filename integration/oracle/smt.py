"""Answers what `prove` and `diff` answer, with an SMT solver and an encoding of its own, and compares.

Reads one JSON object a line, as `cargo run -p daypass-domain --example oracle` writes them. Exits 1 when an answer differs,
and when one question in a hundred is too hard for the solver, which it says.
"""

import json
import re
import sys

import z3

SECONDS = 20
# Every character but the two that end a segment, and every character but the colon.
IN_SEGMENT = z3.Union(z3.Range("\x00", "."), z3.Range("0", "9"), z3.Range(";", "\\u{2ffff}"))
NO_COLON = z3.Union(z3.Range("\x00", "9"), z3.Range(";", "\\u{2ffff}"))


def word(text, fold):
    """The language of one text."""
    if not fold or not re.search("[A-Za-z]", text):
        return z3.Re(text)
    signs = [z3.Union(z3.Re(sign.lower()), z3.Re(sign.upper())) if re.match("[A-Za-z]", sign) else z3.Re(sign) for sign in text]
    return signs[0] if len(signs) == 1 else z3.Concat(*signs)


def glob(pattern, fold):
    """The language of a glob, segment by segment."""
    parts = []
    for piece in re.findall("[^/:]+|[/:]", pattern):
        if piece in "/:":
            parts.append(z3.Re(piece))
        elif piece == "**":
            parts.append(z3.Plus(NO_COLON))
        elif piece == "*":
            parts.append(z3.Plus(IN_SEGMENT))
        else:
            for part in re.findall(r"\*|[^*]+", piece):
                parts.append(z3.Star(IN_SEGMENT) if part == "*" else word(part, fold))
    return parts[0] if len(parts) == 1 else z3.Concat(*parts)


def role_fits(pattern, name):
    if pattern["is"] == "present":
        return True
    if pattern["is"] == "one_of":
        return name in pattern["values"]
    return re.fullmatch(re.escape(pattern["glob"]).replace(r"\*", "[^/:]*"), name) is not None


class Token:
    """A token of an issuer as variables: for each claim whether it is there, and its value."""

    def __init__(self, issuer, list_length):
        self.issuer = issuer
        self.claims = {claim["name"]: claim for claim in issuer["claims"]}
        self.there, self.value = {}, {}
        for name, claim in self.claims.items():
            self.there[name] = z3.Bool(f"{name} there")
            make = {
                "string": lambda n: z3.String(n),
                "integer": lambda n: z3.Int(n),
                "boolean": lambda n: z3.Bool(n),
                "object": lambda n: None,
                "strings": lambda n: [(z3.Bool(f"{n} {at} used"), z3.String(f"{n} {at}")) for at in range(list_length)],
            }
            self.value[name] = make[claim["type"]](name)

    def possible(self):
        facts = [self.there[name] for name, claim in self.claims.items() if claim["required"]]
        if "sub" in self.claims:
            facts.append(self.value["sub"] != "")
        for name in self.claims:
            if name.startswith("/"):
                outer = name.split("/")[1]
                if outer in self.claims:
                    facts.append(z3.Implies(self.there[name], self.there[outer]))
        for relation in self.issuer["relations"]:
            for test in relation["then"]:
                names = [test["claim"]] + (test["arguments"] if test["is"] == "same_as" else [])
                said = z3.And([self.there[name] for name in names])
                facts.append(z3.Implies(z3.And(said, self.all(relation["when"])), self.test(test)))
        return z3.And(facts)

    def all(self, tests):
        return z3.And([self.test(test) for test in tests])

    def test(self, test):
        name, words = test["claim"], test["arguments"]
        there, value, kind = self.there[name], self.value[name], test["is"]
        if kind == "present":
            return there
        if kind == "absent":
            return z3.Not(there)
        one_of = lambda: z3.Or([value == each for each in words])
        says = {
            "one_of": one_of,
            "none_of": lambda: z3.Not(one_of()),
            "begins": lambda: z3.And(z3.PrefixOf(z3.StringVal(words[0]), value), z3.Length(value) > len(words[0])),
            "begins_not": lambda: z3.Not(z3.PrefixOf(z3.StringVal(words[0]), value)),
            "digits": lambda: z3.InRe(value, z3.Loop(z3.Range("0", "9"), 1, 20)),
            "flag": lambda: value == (words[0] == "true"),
            "same_as": lambda: z3.And(self.there[words[0]], value == self.value[words[0]]),
        }
        return z3.And(there, says[kind]())

    def condition(self, condition):
        name, pattern = condition["claim"], condition["pattern"]
        claim, there, value = self.claims[name], self.there[name], self.value[name]
        if pattern["is"] == "present":
            return there
        if pattern["is"] == "absent":
            return z3.Not(there)
        if claim["type"] in ("integer", "boolean"):
            return z3.And(there, z3.Or([value == each for each in pattern["values"]]))
        if pattern["is"] == "glob":
            language = glob(pattern["glob"], claim["fold"])
            fits = lambda text: z3.InRe(text, language)
        elif claim["fold"]:
            fits = lambda text: z3.Or([z3.InRe(text, word(each, True)) for each in pattern["values"]])
        else:
            fits = lambda text: z3.Or([text == each for each in pattern["values"]])
        if claim["type"] == "strings":
            return z3.And(there, z3.Or([z3.And(used, fits(text)) for used, text in value]))
        return z3.And(there, fits(value))

    def row(self, row):
        """The row lets the token in."""
        facts = [self.condition(condition) for condition in row["conditions"]]
        for veto in self.issuer["vetoes"]:
            if veto["name"] not in row["waive"]:
                facts.append(z3.Or([self.all(way) for way in veto["passes"]]))
        return z3.And(facts)

    def role(self, role):
        if role is None or role["shadow"]:
            return z3.BoolVal(False)
        return z3.Or([self.row(row) for row in role["rows"] if row["issuer"] == self.issuer["name"]])


class Oracle:
    def __init__(self):
        self.questions, self.unknown, self.wrong = 0, 0, []

    def possible(self, *facts):
        self.questions += 1
        solver = z3.Solver()
        solver.set("timeout", SECONDS * 1000)
        solver.add(*facts)
        answer = solver.check()
        if answer == z3.unknown:
            self.unknown += 1
            return None
        return answer == z3.sat

    def compare(self, seed, what, ours, theirs):
        if ours is not None and ours != theirs:
            self.wrong.append(f"seed {seed}: {what}: the solver says {ours}, daypass says {theirs}")

    def prove(self, seed, policy, proofs, tokens):
        broken_by = {proof["name"]: proof["broken_by"] for proof in proofs}
        for invariant in policy["invariants"]:
            token = tokens[invariant["issuer"]]
            conditions = z3.And([token.condition(condition) for condition in invariant["conditions"]])
            breaks = conditions if invariant["never"] else z3.Not(conditions)
            for role in policy["roles"]:
                if role_fits(invariant["role"], role["name"]):
                    lets_in = token.role({**role, "shadow": False})
                    ours = self.possible(token.possible(), lets_in, breaks)
                    what = f"invariant {invariant['name']} is broken by {role['name']}"
                    self.compare(seed, what, ours, role["name"] in broken_by[invariant["name"]])

    def diff(self, seed, one, other, moved, allowed, tokens):
        for role in one["roles"]:
            before = next((each for each in other["roles"] if each["name"] == role["name"]), None)
            for name in sorted({row["issuer"] for row in role["rows"]}):
                token = tokens[name]
                ours = self.possible(token.possible(), token.role(role), z3.Not(token.role(before)))
                theirs = [role["name"], name, allowed] in moved
                self.compare(seed, f"{role['name']} {name} newly {'allowed' if allowed else 'denied'}", ours, theirs)

    def pair(self, pair):
        seed = pair["seed"]
        for policy, proofs in ((pair["old"], pair["old_proofs"]), (pair["new"], pair["new_proofs"])):
            self.prove(seed, policy, proofs, self.tokens(pair, policy))
        self.diff(seed, pair["new"], pair["old"], pair["moved"], True, self.tokens(pair, pair["new"]))
        self.diff(seed, pair["old"], pair["new"], pair["moved"], False, self.tokens(pair, pair["old"]))

    def tokens(self, pair, policy):
        """Lists as long as there are conditions that could each want an element of its own."""
        rows = [row for which in ("old", "new") for role in pair[which]["roles"] for row in role["rows"]]
        conditions = [condition for each in rows + policy["invariants"] for condition in each["conditions"]]
        tokens = {}
        for issuer in policy["issuers"]:
            lists = {claim["name"] for claim in issuer["claims"] if claim["type"] == "strings"}
            tokens[issuer["name"]] = Token(issuer, max(1, sum(each["claim"] in lists for each in conditions)))
        return tokens


def main():
    oracle, pairs = Oracle(), 0
    for line in sys.stdin:
        oracle.pair(json.loads(line))
        pairs += 1
        if sys.stderr.isatty():
            told = f"{pairs} pairs, {oracle.questions} questions, {len(oracle.wrong)} answered otherwise"
            print(f"\r{told}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    for difference in oracle.wrong[:20]:
        print(difference)
    print(
        f"{pairs} pairs of sets, {oracle.questions} questions: {len(oracle.wrong)} answered otherwise by z3 "
        f"{z3.get_version_string()}, {oracle.unknown} too hard for it"
    )
    sys.exit(bool(oracle.wrong) or pairs == 0 or oracle.unknown * 100 > oracle.questions)


main()
