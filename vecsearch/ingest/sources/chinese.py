"""Tell whether the bytes of a text that is not UTF-8 are certainly Chinese, and in which encoding.

Nearly every file of bytes decodes as GB18030, most as Big5 and many as EUC-KR. So a text is taken
for Chinese only if it reads like Chinese: without private-use characters and control characters,
with characters of the basic sets almost only, and with more of the most frequent characters than
it would have by chance. The same bytes must not read better as Korean, Japanese, Russian, Greek,
Hebrew, Arabic or Thai.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from functools import cache

SURE = 0.6  # share of frequent characters that no text of another encoding has
LIKELY = 0.2  # share that is enough where nothing else reads better
BASIC = 0.9  # least share of characters of the basic sets
_FREQUENT = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家"
    "种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十"
    "民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯"
    "月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女"
    "变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基"
    "眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今"
    "切院让识候带导争运"
    "這個們來為國說時會對過發後裡種經麼動還進樣開從實無與長機將兩間問關點業應戰頭體見產話給門東聲員論處義幾條氣題爾別"
    "變總電數報結務場計資許統區隊決馬書則聽達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶導爭運於學現沒當軍"
    # Words of tables and files: names, numbers, wares, questions.
    "怎哪吗呢吧啊谁您请谢买卖钱货单价店客服退换密码账号称编产量质检索测试准率图片类型状态描述备注址邮箱城省县镇村街路号"
    "李刘陈杨黄赵周吴徐孙朱胡郭林罗郑梁宋唐韩冯曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁沈姚卢姜崔钟谭陆汪范廖石韦贾夏付邹"
    "王京津沪粤港台湾甲乙丙丁戊春秋冬晴雨雪风云星红绿蓝黑零百亿元角分斤米午晚早晨季周词句章节页版附录首末左右贴"
    "嗎誰請謝買賣錢貨單價號稱編產質檢測試準圖類狀態備註郵縣鎮劉陳楊黃趙吳孫鄭馮蔣葉蘇呂鍾譚陸範鄒韋灣風雲紅綠藍億詞節頁"
    "錄嘅係唔喺佢哋咗啲冇呢內容繁簡體臺寫讀聞網絡電腦"
)
_KOREAN = (
    "이다는에의을가고하은로지를기한도사리서어인나자대으시안해아그라만부스일정수것들전보제있없과와요세주장상니여게마년거"
    "오며면구우비조했습됩였동원공경성문무신녕미생"
)
_KANA = re.compile("[\u3040-\u30ff\uff66-\uff9f]")
_UNUSUAL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\U000f0000-\U0010ffff]")
# Encodings of one byte a letter, and words as they are written in each: a capital at most first.
_ALPHABETS = (
    ("koi8_r", "[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+"),
    ("cp1251", "[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+"),
    ("cp866", "[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+"),
    ("cp1253", "[Α-ΩΆ-Ώ]?[ά-ώ]+|[Α-Ω]+"),
    ("cp1255", "[א-ת]+"),
    ("cp1256", "[ء-ي]+"),
    ("cp874", "(?:[เ-ไ]?[ก-ฮ][ะ-ฺ็-๎]*)+"),
)
Counts = Counter[str]


@cache
def _basic() -> frozenset[str]:
    """The characters of GB2312 and of Big5's first level, and full-width forms."""
    pairs = [bytes([high, low]) for high in range(0xA1, 0xF8) for low in range(0xA1, 0xFF)]
    simplified = "".join(pair.decode("gb2312", "ignore") for pair in pairs)
    low_bytes = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    pairs = [bytes([high, low]) for high in range(0xA1, 0xC7) for low in low_bytes]
    traditional = "".join(pair.decode("big5", "ignore") for pair in pairs)
    return frozenset(simplified + traditional + _FREQUENT + "€·—–…‘’“”")


def chinese_encoding(data: bytes) -> str | None:
    """The encoding of a Chinese text, or None where it is not sure.

    Args:
        data: The bytes of the text, or of its lines that are not ASCII.

    Returns:
        "gb18030" (which includes GBK and GB2312), or "cp950" or "big5hkscs" (Big5).
    """
    gb, big5 = _share_as(data, "gb18030"), _share_as(data, "cp950")
    big5_name = "cp950"
    if big5 is None:
        big5, big5_name = _share_as(data, "big5hkscs"), "big5hkscs"
    best, share, other = max(
        ("gb18030", gb or 0.0, big5 or 0.0),
        (big5_name, big5 or 0.0, gb or 0.0),
        key=lambda it: it[1],
    )
    if share <= max(other, _korean_share(data), _japanese_share(data)):
        return None
    is_sure = share >= SURE or (share >= LIKELY and not _reads_as_an_alphabet(data))
    return best if is_sure else None


def unusual(text: str) -> int | None:
    """The position of the first private-use or control character; None without one."""
    found = _UNUSUAL.search(text)
    return None if found is None else found.start()


def _share_as(data: bytes, encoding: str) -> float | None:
    """The share of frequent characters in that encoding; None for what is not Chinese in it."""
    text = _decoded(data, encoding)
    return None if text is None or unusual(text) is not None else _chinese_share(text)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding, EURO)
    except UnicodeDecodeError:
        return None


def _euro_sign(error: UnicodeError) -> tuple[str, int]:
    """Decode the byte 0x80 as Windows does in CP936."""
    if (
        isinstance(error, UnicodeDecodeError)
        and error.encoding.lower().startswith("gb")
        and error.object[error.start] == 0x80
    ):
        return "€", error.start + 1
    raise error


EURO = "vecsearch.euro"  # the error handler that lets "gb18030" read CP936's euro sign
codecs.register_error(EURO, _euro_sign)


def _letters(text: str) -> Counts:
    return Counter(letter for letter in text if letter > "\x7f")


def _chinese_share(text: str) -> float | None:
    """The share of frequent characters among the ideographs; None for what is not Chinese."""
    counts = _letters(text)
    total = counts.total()
    basic = sum(number for letter, number in counts.items() if letter in _basic())
    kana = sum(number for letter, number in counts.items() if _KANA.match(letter))
    rare_planes = sum(number for letter, number in counts.items() if letter > "\uffff")
    if basic + rare_planes < BASIC * total or kana > 0.05 * total:
        return None
    ideographs = Counter(
        {letter: n for letter, n in counts.items() if letter.isalpha() and letter >= "\u4e00"}
    )
    if not ideographs:
        return None
    frequent = sum(number for letter, number in ideographs.items() if letter in _FREQUENT)
    return frequent / ideographs.total()


def _korean_share(data: bytes) -> float:
    text = _decoded(data, "cp949")
    if text is None:
        return 0.0
    counts = _letters(text)
    return sum(n for letter, n in counts.items() if letter in _KOREAN) / counts.total()


def _japanese_share(data: bytes) -> float:
    shares = [0.0]
    for name in ("euc_jp", "cp932"):
        text = _decoded(data, name)
        if text is not None:
            counts = _letters(text)
            # Half-width katakana are what most bytes above 0xA0 are in Shift_JIS.
            kana = sum(n for letter, n in counts.items() if "\u3040" <= letter <= "\u30ff")
            shares.append(2 * kana / counts.total() if kana >= 0.2 * counts.total() else 0.0)
    return min(max(shares), 1.0)


def _reads_as_an_alphabet(data: bytes) -> bool:
    words = re.findall(rb"[\x80-\xff]+", data)
    for encoding, pattern in _ALPHABETS:
        texts = [word.decode(encoding, "replace") for word in words]
        whole = sum(len(text) for text in texts if re.fullmatch(pattern, text))
        if whole >= 0.9 * sum(map(len, texts)):
            return True
    return False
