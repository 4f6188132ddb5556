"""The lexer's rules in their order, each a pattern, what must follow, and what becomes of the match.

Of all rules that match at a position the one whose match (with what must follow) is longest wins; of
equally long ones the first. What must follow is read again by the next match.
"""

from __future__ import annotations

from dataclasses import dataclass

from eval_client.metrics.ptb import normalize
from eval_client.metrics.ptb.marks import ABBREVIATIONS, ADDRESSES, MARKS
from eval_client.metrics.ptb.normalize import Normalizer
from eval_client.metrics.ptb.patterns import Pattern, parse
from eval_client.metrics.ptb.words import ENTITIES, NUMBERS, SPACING, WORDS


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `give_back` characters at the end of the match are read again.

    Abbreviations at the end of a sentence stay whole and give the stop back: it comes twice.
    """

    name: str
    pattern: str
    normalize: Normalizer = normalize.keep
    followed_by: str = ""
    give_back: int = 0


RULES = (
    Rule("programming language", "c[+][+]|(c|f)#"),
    Rule("late assimilation", "{LATE_ASSIMILATION}", normalize.all_but_three, give_back=3),
    Rule("assimilation", "{ASSIMILATION}", normalize.all_but_two, give_back=2),
    Rule("tag", "{SGML}", normalize.one_word),
    Rule("dash", "{DASH}", normalize.dash),
    Rule("ampersand", "{AMPERSAND}", normalize.ampersand),
    Rule("entity", "{PUNCTUATION}"),
    Rule("word before clitic", "{WORD}", normalize.without_soft_hyphens, "{CLITIC}"),
    Rule("negated verb", "{NEGATED_VERB}", normalize.without_soft_hyphens, "{NEGATION}"),
    Rule("word", "{WORD}", normalize.without_soft_hyphens),
    Rule("apostrophe word", "{APOSTROPHE_WORD}"),
    Rule("you", "{YOU}", followed_by="{letter}"),
    Rule("full address", "{FULL_URL}"),
    Rule("likely address", "{LIKELY_URL}"),
    Rule("mail address", "{EMAIL}"),
    Rule("twitter", "{TWITTER}"),
    Rule("clitic", "{CLITIC}", normalize.closing_quote, "[^A-Za-z]"),
    Rule("negation", "{NEGATION}", normalize.closing_quote, "[^A-Za-z]"),
    Rule("date", "{DATE}"),
    Rule("number", "{NUMBER}", normalize.without_soft_hyphens),
    Rule("script number", "{SCRIPT_NUMBER}"),
    Rule("fraction", "{FRACTION}", normalize.one_word),
    Rule("fraction sign", "{FRACTION_SIGN}", normalize.fraction_sign),
    Rule("treebank word", "{TREEBANK_WORD}", normalize.ampersand),
    Rule("words or", "{WORDS_OR}"),
    Rule("dollar", "{DOLLAR}"),
    Rule("currency", "{CURRENCY}", normalize.currency),
    Rule("acronym at end", "{ACRONYM}", normalize.acronym, "({SPACENL})+({SENTENCE_START})({SPACENL})", 1),
    Rule("abbreviation before number", "{NUMBER_ABBREVIATION}", followed_by="({SPACENL})?{digit}"),
    Rule("company", "(pt[eyEY]|co)\\.", followed_by="{SPACE}(ltd|lim)"),
    Rule("inner abbreviation at end", "{INNER_ABBREVIATION}", normalize.keep, "{SENTENCE_END}", 1),
    Rule("inner abbreviation", "{INNER_ABBREVIATION}", followed_by="[^][^]"),
    Rule("last inner abbreviation", "{INNER_ABBREVIATION}", give_back=1),
    Rule("leading abbreviation", "{LEADING_ABBREVIATION}"),
    Rule("leading word", "{LEADING}", followed_by="{SPACE}"),
    Rule("acronym", "{ACRO}", followed_by="{SPACENL}"),
    Rule("year", "{YEAR}", followed_by="{SPACENL}"),
    Rule("file name", "{FILE_NAME}", followed_by="({SPACENL})|[.?!,]"),
    Rule("word with stop", "{WORD}\\.", normalize.without_soft_hyphens, "{SENTENCE_MARK}"),
    Rule("phone", "{PHONE}", normalize.phone_number),
    Rule("opening double quote", "{DOUBLE_QUOTE}", normalize.opening_quote, "[A-Za-z0-9$]"),
    Rule("double quote", "{DOUBLE_QUOTE}", normalize.closing_quote),
    Rule("delete", "\u007f", normalize.drop),
    Rule("less than", "{LESS_THAN}", normalize.less_than),
    Rule("greater than", "{GREATER_THAN}", normalize.greater_than),
    Rule("smiley", "{SMILEY}", normalize.smiley, "[^A-Za-z0-9]"),
    Rule("eastern smiley", "{EASTERN_SMILEY}", normalize.smiley),
    Rule("closing brace", "\\}", normalize.brackets),
    Rule("opening brace", "\\{", normalize.brackets),
    Rule("closing bracket", "\\]", normalize.brackets),
    Rule("opening bracket", "\\[", normalize.brackets),
    Rule("opening parenthesis", "\\(", normalize.brackets),
    Rule("closing parenthesis", "\\)", normalize.brackets),
    Rule("hyphens", "-+", normalize.dashes),
    Rule("ellipsis", "{ELLIPSIS}", normalize.ellipsis),
    Rule("repeated mark", "{REPEATED_MARK}"),
    Rule("asterisks", "{ASTERISKS}"),
    Rule("sentence mark", "{SENTENCE_MARK}"),
    Rule("question", "[?!]+"),
    Rule("stop", "[.¡¿\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002]"),
    Rule("equals", "="),
    Rule("slash", "/"),
    Rule("hyphenated with stop", "{HYPHENATED}\\.", normalize.without_soft_hyphens, "{SENTENCE_MARK}"),
    Rule("hyphenated", "{HYPHENATED}", normalize.without_soft_hyphens),
    Rule("thing with stop", "{THING}\\.", followed_by="{SENTENCE_MARK}"),
    Rule("thing", "{THING}"),
    Rule("words and with stop", "{WORDS_AND}\\.", normalize.ampersand, "{SENTENCE_MARK}"),
    Rule("words and", "{WORDS_AND}", normalize.ampersand),
    Rule("opening quote", "'", normalize.opening_quote, "[A-Za-z]{NOT_SPACE}"),
    Rule("late clitic", "{CLITIC}", normalize.closing_quote),
    Rule("late negation", "{NEGATION}", normalize.closing_quote),
    Rule("quote", "{QUOTE}", normalize.closing_quote),
    Rule("duck feet", "<<|>>"),
    Rule("symbol", "{SYMBOL}"),
    Rule("blank", "\u0000|({SPACE})+|[\u200b\u200e-\u200f\ufeff]", normalize.drop),
    Rule("newline", "{NEWLINE}", normalize.drop),
    Rule("blank entity", "&nbsp;", normalize.drop),
    Rule("untokenizable", ".", normalize.drop),
)


def named_patterns() -> dict[str, Pattern]:
    """All named patterns, each parsed once, in an order in which they can refer to earlier ones."""
    names: dict[str, Pattern] = {}
    for group in (SPACING, ENTITIES, NUMBERS, WORDS, ADDRESSES, ABBREVIATIONS, MARKS):
        for name, source in group.items():
            names[name] = parse(source, names)
    return names
