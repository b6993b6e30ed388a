"""Phrases that Whisper is known to put out for silence and music, as `plain` text."""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """Letters and digits in lower case with single spaces between; marks and punctuation are gone."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    kept = (sign if unicodedata.category(sign)[0] in "LNM" else "" if sign == "'" else " " for sign in folded)
    return " ".join("".join(kept).split())


_VIDEOS = """
thanks for watching
thank you for watching
thank you so much for watching
thank you very much for watching
thanks for watching and see you next time
thanks for watching see you next time
thank you for watching please subscribe to my channel
please subscribe
please subscribe to my channel
please subscribe to the channel
subscribe to my channel
like and subscribe
please like and subscribe
don't forget to subscribe
don't forget to like and subscribe
see you in the next video
i'll see you in the next video
we'll be right back
to be continued
vielen dank fürs zuschauen
danke fürs zuschauen
bis zum nächsten mal
merci d'avoir regardé
merci d'avoir regardé cette vidéo
merci d'avoir regardé la vidéo
abonnez-vous
n'oubliez pas de vous abonner
gracias por ver
gracias por ver el video
gracias por ver el vídeo
suscríbete
suscríbete al canal
no olvides suscribirte
obrigado por assistir
obrigada por assistir
inscreva-se no canal
grazie per la visione
grazie per aver guardato
grazie per aver guardato il video
iscriviti al canale
bedankt voor het kijken
dziękuję za obejrzenie
dziękuję za uwagę
izlediğiniz için teşekkürler
izlediğiniz için teşekkür ederim
abone olmayı unutmayın
спасибо за просмотр
спасибо за внимание
продолжение следует
подписывайтесь на канал
подпишись на канал
дякую за перегляд
谢谢观看
謝謝觀看
感谢观看
感謝觀看
谢谢大家观看
请不吝点赞 订阅 转发 打赏支持明镜与点点栏目
請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目
ご視聴ありがとうございました
ご覧いただきありがとうございます
チャンネル登録お願いします
最後までご視聴いただきありがとうございました
시청해주셔서 감사합니다
시청해 주셔서 감사합니다
구독과 좋아요 부탁드립니다
شكرا للمشاهدة
شكرا على المشاهدة
اشتركوا في القناة
देखने के लिए धन्यवाद
cảm ơn các bạn đã theo dõi
hãy subscribe cho kênh
"""

_PEOPLE = """
thank you
thank you very much
thank you so much
thanks
you
bye
bye bye
goodbye
okay
so
oh
yeah
hmm
mm
uh
um
see you next time
danke
vielen dank
danke schön
tschüss
merci
merci beaucoup
au revoir
gracias
muchas gracias
adiós
obrigado
obrigada
tchau
grazie
grazie mille
ciao
dank je wel
tot ziens
dziękuję
teşekkürler
teşekkür ederim
спасибо
спасибо большое
пока
дякую
谢谢
謝謝
谢谢大家
再见
ありがとうございました
ありがとうございます
おやすみなさい
감사합니다
고맙습니다
شكرا
धन्यवाद
cảm ơn
"""

#: What only the end of a video says.
SAID_BY_VIDEOS = frozenset(map(plain, filter(None, _VIDEOS.splitlines())))

#: What people say all the time as well.
SAID_BY_PEOPLE = frozenset(map(plain, filter(None, _PEOPLE.splitlines())))

#: Credits of those who wrote the subtitles; they begin the segment, or name the community.
CREDITS = re.compile(
    r"\bamara org\b"
    r"|^(?:subtitles?|captions?|subtitled|captioned|transcribed|transcript|transcription|translated|translation) by\b"
    r"|^(?:subtitles|captions|transcription) (?:made|created|provided) by\b"
    r"|^untertitel(?:ung)? (?:der|von|im auftrag|des|aufgrund)\b"
    r"|^sous titr(?:es|age) (?:réalisés?|par|st|société|fait)\b"
    r"|^subtítulos (?:realizados|por|de la comunidad)\b"
    r"|^legendas? (?:pela|por|da)\b"
    r"|^sottotitoli (?:creati|e revisione|a cura|di)\b"
    r"|^ondertitel(?:s|ing) (?:ingediend|door|tv)\b"
    r"|^napisy (?:stworzone|wykonane|by)\b"
    r"|^altyazı (?:m k|çeviri)\b"
    r"|^(?:субтитры (?:сделал|создавал|подготовлены|подогнал|делал)|редактор субтитров|корректор)"
    r"|^(?:字幕(?:by|由|志愿者|製作|制作|提供)|中文字幕|ترجمة نانسي)"
)
