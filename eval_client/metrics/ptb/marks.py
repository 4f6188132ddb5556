"""Patterns for addresses, abbreviations, punctuation and symbols, by name; see `words` for their origin."""

from __future__ import annotations

ADDRESSES = {
    "FULL_URL": 'https?://[^ \t\n\f\r"<>|(){}]+[^ \t\n\f\r"<>|.!?(){},\\-]',
    "LIKELY_URL": (
        '((www\\.([^ \t\n\f\r"<>|.!?(){},]+\\.)+[a-zA-Z]{2,4})'
        "|(([^ \t\n\f\r\"`'<>|.!?(){},-_$]+\\.)+(com|net|org|edu)))"
        '(/[^ \t\n\f\r"<>|()]+[^ \t\n\f\r"<>|.!?(){},\\-])?'
    ),
    "EMAIL": (
        '(&lt;|<)?[a-zA-Z0-9][^ \t\n\f\r"<>|(){}\u00a0]*@([^ \t\n\f\r"<>|(){}.\u00a0]+\\.)*'
        '([^ \t\n\f\r"<>|(){}.\u00a0]+)(&gt;|>)?'
    ),
    "TWITTER": "@[a-zA-Z_][a-zA-Z_0-9]*|#({LETTER})+",
}

ABBREVIATIONS = {
    "MONTH": "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec",
    "DAY": "Mon|Tue|Tues|Wed|Thu|Thurs|Fri",
    "STATE": (
        "Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|[M]ass|Md|Mich|Minn"
        "|[M]iss|Mo|Mont|Neb|Nev|Okla|[O]re|[P]a|Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo"
    ),
    "COMPANY": "Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys",
    "QUANTITY": "tel|est|ext|sq",
    "POSTFIX": "Jr|Sr|Bros|(Ed|Ph)\\.D|Blvd|Rd|Esq",
    "INNER_ABBREVIATION": "({MONTH}|{DAY}|{STATE}|{COMPANY}|{QUANTITY}|{POSTFIX}|etc|al|seq|Bldg)\\.",
    "TITLE": (
        "Mr|Mrs|Ms|[M]iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt"
        "|Capt|Ste?|Ave|Pres|Lieut|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Mt|Ft|Adj|Adv|Asst|Assoc|Ens|Insp"
        "|Mlle|Mme|Msgr|Sfc"
    ),
    "OFFICE": "Invt|Elec|Natl|M[ft]g|Dept",
    "LEADING": "{TITLE}|vs|Alex|Wm|Jos|Cie|a\\.k\\.a|cf|TREAS|Ph|{ACRO}|{OFFICE}",
    "LEADING_ABBREVIATION": "({LEADING})\\.",
    "ACRONYM": "({ACRO})\\.",
    "NUMBER_ABBREVIATION": "(ca|figs?|prop|nos?|art|bldg|prop|pp|op)\\.",
    "SENTENCE_END": "({SPACENL})(({SPACENL})|{uppercase}|{SGML})",
    "SENTENCE_START": (
        "[A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e|[H]er|[H]ere"
        "|[H]owever|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\\.|[M]s\\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur|[S]he"
        "|[S]ince|[S]o|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen"
        "|[W]hile|[W]hat|[Y]et|[Y]ou|{SGML}"
    ),
}

MARKS = {
    "LESS_THAN": "<|&lt;",
    "GREATER_THAN": ">|&gt;",
    "ELLIPSIS": "\\.{3,5}|(\\.[ \u00a0]){2,4}\\.|[\u0085\u2026]",
    "ASTERISKS": "\\*+|(\\\\\\*){1,3}",
    "REPEATED_MARK": "@+|#+|_+",
    "SENTENCE_MARK": "[,;:\u3001]",
    "QUOTE": "{APOSTROPHE}|''|[`\u2018-\u201f\u0091-\u0094\u2039\u203a\u00ab\u00bb]{1,2}",
    "DOUBLE_QUOTE": '"|&quot;',
    "TREEBANK_WORD": (
        "-(RRB|LRB|RCB|LCB|RSB|LSB)-|C\\.D\\.s|pro-|anti-|S(&|&amp;)P-500|S(&|&amp;)Ls|Cap{APOSTROPHE}n"
        "|c{APOSTROPHE}est"
    ),
    "YEAR": "{APOSTROPHE}[0-9][0-9]",
    "SMILEY": "[<>]?[:;=][\\-o*']?[()DPdpO\\\\\\{@|\\[\\]]",
    "EASTERN_SMILEY": (
        "[\\^x=~<>]\\.\\[\\^x=[^<]*<>\\]|[\\-\\^x=~<>']_[\\-\\^x=~<>']"
        "|\\([\\-\\^x=~<>'][_.]?[\\-\\^x=~<>']\\)|\\([\\^x=~<>']-[\\^x=~<>'`]\\)"
    ),
    "SYMBOL": (
        "[+%&~\\^|\\\\¦\u00a7¨\u00a9\u00ac\u00ae¯\u00b0-\u00ba\u00d7\u00f7\u0387\u05be\u05c0\u05c3\u05c6\u05f3\u05f4"
        "\u0600-\u0603\u0606-\u060a\u060c\u0614\u061b\u061e\u066a\u066d\u0703-\u070d\u07f6-\u07f8\u0964\u0965"
        "\u0e4f\u1fbd\u2016\u2017\u2020-\u2023\u2030-\u2038\u203b\u203e-\u2042\u2044\u207a-\u207f\u208a-\u208e"
        "\u2100-\u214f\u2190-\u2bff\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
    ),
    "LATE_ASSIMILATION": "cannot|'twas",
    "ASSIMILATION": "gonna|gotta|lemme|gimme|wanna|'tis",
}
