"""The children whom the demo registers: invented, and as various as a class is. A blank grade or class is one not known yet."""

from dataclasses import dataclass
from typing import Final

PASSWORD: Final = "hama-kaze-to-hoshi"  # noqa: S105  # of invented families


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a guardian types about a child, and the name given to the phone."""

    name: str
    kana: str
    grade: str
    class_name: str
    login_id: str
    label: str


_TABLE: Final = """
    鴻巣 ひかり | コウノス ヒカリ | 1 | 1 | kounosu-hikari | 母のスマホ
    鵜飼 蒼太 | うかい そうた | 1 | 2 | ukai.sota | 父
    髙樋 𠮷乃 | タカヒ ヨシノ | 2 | 1 | takahi_yoshino | 母
    Linh Pham |  | 2 | 2 | linh.pham | Mom
    御厨 りん | ミクリヤ リン | 3 | 1 | mikuriya-rin | 祖母
    五十嵐 すばる | ｲｶﾞﾗｼ ｽﾊﾞﾙ | 3 | 2 | igarashi.subaru | 父のスマホ
    祖父江 凪 | ソブエ ナギ | 4 | 1 | sobue-nagi |
    Sofia Reyes | Sofia Reyes | 4 | 2 | sofia.reyes | Nanay
    瓜生 千晶 | ウリュウ チアキ | 5 | 1 | uryu-chiaki | 母（仕事用）
    勅使河原 仁 | テシガワラ ジン | 5 | 2 | teshigawara.jin | おじいちゃん
    朽木 いろは | クツキ イロハ | 6 | 1 | kutsuki-iroha | 母
    安曇 晴 | アズミ ハル | 6 | 2 | azumi.haru | 母
    結解 真帆 | ケッケ マホ | 1 | たんぽぽ | kekke-maho | 家の携帯
    一尺八寸 楽 | カマツカ ガク | 3 | たんぽぽ | kamatsuka-gaku | 父
    雲母 すず | キララ スズ | 6 | たんぽぽ | kirara-suzu | 母
    纐纈 史帆 | コウケツ シホ |  |  | koketsu-shiho | 母
    東江 海 | アガリエ カイ |  |  | agarie.kai | 父
    薬袋 ももか | ミナイ モモカ | 1 |  | minai-momoka | 母のスマホ
    四月一日 新 | ワタヌキ アラタ | 4 |  | watanuki.arata |
    目 紬 | サッカ ツムギ | 2 | 1組 | sakka-tsumugi | 母
    Kim Ha-eun | キム ハウン | 5 | ２ | kim.haeun | 엄마
    鬼無里 柊 | キナサ シュウ | 6 | 1 | kinasa-shu | 父
    月見里 ほのか | ヤマナシ ホノカ | 2 | 2 | yamanashi-honoka | 母
    小鳥遊 啓 | タカナシ ケイ | 3 | 1 | takanashi.kei | 叔母
    百目鬼 さな | ドウメキ サナ | 4 | 2 | domeki-sana | 母
    王来王家 歩 | オクオカ アユム | 5 | 1 | okuoka-ayumu | 父
"""


def children() -> list[Child]:
    """All of them."""
    rows = [[cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines()]
    return [
        Child(name=name, kana=kana, grade=grade, class_name=class_name, login_id=login_id, label=label)
        for name, kana, grade, class_name, login_id, label in rows
    ]
