"""Patterns for words, numbers, addresses and abbreviations, by name.

The language is that of the Stanford PTB tokenizer 3.4.1 (the one pycocoevalcap 1.2 runs), whose quirks
are part of every published CIDEr. It was written from the tokenizer's behaviour and is checked against it.
"""

from __future__ import annotations

SPACING = {
    "SPACE": "[ \t\u00a0\u2000-\u200a\u3000]",
    "NEWLINE": "\r|\r?\n|\u2028|\u2029|\u000b|\u000c|\u0085",
    "SPACENL": "{SPACE}|{NEWLINE}",
    "NOT_SPACE": "[^ \t\n\r\u00a0]",
}

ENTITIES = {
    "SGML": (
        "<([!?][A-Za-z\\-][^>\r\n]*"
        "|[A-Za-z][A-Za-z0-9_:.\\-]*([ ]+([A-Za-z][A-Za-z0-9_:.\\-]*"
        "|[A-Za-z][A-Za-z0-9_:.\\-]*[ ]*=[ ]*('[^']*'|\"[^\"]*\")))*[ ]*/?"
        "|/[A-Za-z][A-Za-z0-9_:.\\-]*)[ ]*>"
    ),
    "DASH": "&(MD|mdash|ndash);|[\u0096\u0097\u2013\u2014\u2015]",
    "AMPERSAND": "&amp;",
    "PUNCTUATION": "&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);",
    "ACCENTED": "&[aeiouAEIOU](acute|grave|uml);",
}

NUMBERS = {
    "DIGIT": "[{digit}\u07c0-\u07c9]",
    "DATE": "{DIGIT}{1,2}[\\-/]{DIGIT}{1,2}[\\-/]{DIGIT}{2,4}",
    "NUM": "{DIGIT}*([.:,\u00ad\u066b\u066c]{DIGIT}+)+|{DIGIT}+",
    "NUMBER": "[\\-+]?({NUM})",
    "SCRIPT_NUMBER": "[\u207a\u207b\u208a\u208b]?([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+)",
    "FRACTION": "({DIGIT}{1,4}[\\- \u00a0])?{DIGIT}{1,4}(\\\\?/|\u2044){DIGIT}{1,4}",
    "FRACTION_SIGN": "[¼½¾\u2153-\u215e]",
    "DOLLAR": "[A-Z]*$|#",
    "CURRENCY": "[\u00a2\u00a3\u00a4\u00a5\u0080\u20a0\u20a4\u20ac\u060b\u0e3f\uffe0\uffe1\uffe5\uffe6]",
    "PHONE": (
        "(\\([0-9]{2,3}\\)[ \u00a0]?|(\\+\\+?)?([0-9]{2,4}[\\- \u00a0])?[0-9]{2,4}[\\- \u00a0])"
        "[0-9]{3,4}[\\- \u00a0]?[0-9]{3,5}"
        "|((\\+\\+?)?[0-9]{2,4}\\.)?[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}"
    ),
}

WORDS = {
    "LETTER": (
        "{letter}|{ACCENTED}|[\u00ad\u0237-\u024f\u02c2-\u02c5\u02d2-\u02df\u02e5-\u02ff\u0300-\u036f"
        "\u0370-\u037d\u0384\u0385\u03cf\u03f6\u03fc-\u03ff\u0483-\u0487\u04cf\u04f6-\u04ff\u0510-\u0525"
        "\u055a-\u055f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0615-\u061a\u063b-\u063f"
        "\u064b-\u065e\u0670\u06d6-\u06ef\u06fa-\u06ff\u070f\u0711\u0730-\u074f\u0750-\u077f\u07a6-\u07b1"
        "\u07ca-\u07f5\u07fa\u0900-\u0903\u093c\u093e-\u094e\u0951-\u0955\u0962-\u0963\u0981-\u0983"
        "\u09bc-\u09c4\u09c7\u09c8\u09cb-\u09cd\u09d7\u09e2\u09e3\u0a01-\u0a03\u0a3c\u0a3e-\u0a4f"
        "\u0a81-\u0a83\u0abc-\u0acf\u0b82\u0bbe-\u0bc2\u0bc6-\u0bc8\u0bca-\u0bcd\u0c01-\u0c03\u0c3e-\u0c56"
        "\u0d3e-\u0d44\u0d46-\u0d48\u0e30-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd]"
    ),
    "WORD": "({LETTER})({LETTER}|{DIGIT})*([.!?]({LETTER})({LETTER}|{DIGIT})*)*",
    "FILE_ENDING": (
        "bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl"
        "|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip"
    ),
    "FILE_NAME": "({LETTER}|{DIGIT})+([.]({LETTER}|{DIGIT})+)*([.]({FILE_ENDING}))",
    "APOSTROPHE": "['\u0092\u2019]|&apos;",
    "ANY_APOSTROPHE": "{APOSTROPHE}|[`\u0091\u2018\u201b]",
    "HYPHEN": "[\\-_\u058a\u2010\u2011]",
    "THING": (
        "([dDoOlL]{ANY_APOSTROPHE}({letter}|{digit}))?({letter}|{digit})+"
        "({HYPHEN}([dDoOlL]{ANY_APOSTROPHE}({letter}|{digit}))?({letter}|{digit})+)*"
    ),
    "WORDS_AND": "[A-Z]+(([+&]|{AMPERSAND})[A-Z]+)+",
    "WORDS_OR": "[A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\\\?/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2}",
    "ACRO": "[A-Za-z](\\.[A-Za-z])*|(Canada|Sino|Korean|EU|Japan|non)-U\\.S|U\\.S\\.-(U\\.K|U\\.S\\.S\\.R)",
    "ACRO2": "[A-Za-z](\\.[A-Za-z])+|(Canada|Sino|Korean|EU|Japan|non)-U\\.S|U\\.S\\.-(U\\.K|U\\.S\\.S\\.R)",
    "HYPHENATED": "[A-Za-z0-9][A-Za-z0-9.,\u00ad]*(-([A-Za-z0-9\u00ad]+|{ACRO2}\\.))+",
    "CLITIC": "{APOSTROPHE}([msdMSD]|re|ve|ll)",
    "NEGATED_VERB": "[A-Za-z\u00ad]*[A-MO-Za-mo-z](\u00ad)*",
    "NEGATION": "n{ANY_APOSTROPHE}t",
    "APOSTROPHE_WORD": (
        "{APOSTROPHE}n{APOSTROPHE}?|[lLdDjJ]{APOSTROPHE}|Dunkin{APOSTROPHE}|somethin{APOSTROPHE}"
        "|ol{APOSTROPHE}|{APOSTROPHE}em|[A-HJ-XZn]{ANY_APOSTROPHE}{letter}{2}{letter}*|{APOSTROPHE}[2-9]0s"
        "|{APOSTROPHE}till?|{letter}{letter}*[aeiouyAEIOUY]{ANY_APOSTROPHE}[aeiouA-Z]{letter}*"
        "|{APOSTROPHE}cause|cont'd\\.?|'twas|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l|O{ANY_APOSTROPHE}o"
    ),
    "YOU": "y{APOSTROPHE}",
}
