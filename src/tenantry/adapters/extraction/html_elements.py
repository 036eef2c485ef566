"""HTML's elements by how their text stands: unseen, a block, a line, a cell, within a line."""

from __future__ import annotations

UNSEEN = frozenset(
    {
        *("script", "style", "noscript", "head", "iframe", "nav", "button", "datalist"),
        *("rp", "rt", "rtc"),  # the reading of a word, which stands between its letters
        *("audio", "canvas", "noframes", "video"),  # for browsers that do not know them
        *("annotation", "annotation-xml"),  # a formula once more, as its author typed it
        "-comment",  # as the parser names them
    }
)
UNSEEN_ROLES = frozenset({"navigation", "search"})  # how older generators mark what `nav` says
BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "details"),
        *("dialog", "dir", "div", "dl", "fieldset", "figcaption", "figure", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend"),
        *("listing", "main", "menu", "ol", "optgroup", "p", "plaintext", "pre", "search"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "title", "ul", "xmp"),
    }
)
LINES = frozenset({"br", "tr", "li", "dt", "dd", "option"})
CELLS = frozenset({"td", "th"})
# Parts of a word or a sentence, those of MathML too, and what holds no text. Any other element is
# one that HTML does not know.
WITHIN_A_LINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "blink", "cite", "code", "data"),
        *("del", "dfn", "em", "font", "i", "ins", "kbd", "label", "map", "mark", "marquee"),
        *("meter", "nobr", "noembed", "output", "picture"),
        *("progress", "object", "q", "rb", "ruby", "s", "samp", "select", "slot"),
        *("small", "span", "strike", "strong", "sub", "sup", "textarea", "time", "tt", "u", "var"),
        *("area", "base", "basefont", "bgsound", "col", "colgroup", "embed", "frame"),
        *("frameset", "img", "input", "keygen", "link", "meta", "param", "source", "track", "wbr"),
        *("maction", "math", "menclose", "merror", "mfenced"),
        *("mfrac", "mglyph", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom"),
        *("mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup"),
        *("msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "none", "semantics"),
    }
)
