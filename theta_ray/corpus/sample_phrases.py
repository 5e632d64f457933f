"""Phrases of the synthetic sample corpus: what people of an invented platform say about eight topics.

`TOPICS[topic][part]` is a list of phrases. English parts are clauses that frames put together:
`did` follows "I", `result` and `advice` stand alone, `question` is a whole sentence. The other
languages hold two statements and two tips, and `tags` the hashtags of the topic.
"""

from __future__ import annotations

_MARATHON = """
tags: marathon | running | longrun | halfmarathon
did: ran 28 km along the canal before breakfast | did eight hill repeats in the rain | finished the half marathon
did: tried marathon pace on tired legs | jogged an easy recovery hour | tested carbon running shoes on the track
did: joined the club for a tempo run | ran the last five kilometres barefoot on grass | skipped intervals to rest a calf
result: my pulse stayed low the whole long run | my calves were sore for two days | the final kilometre was my fastest
result: I hit the wall at kilometre thirty | the new shoes gave me blisters | my split times were even for once
result: race day suddenly feels possible | my stride finally felt light | my knee complained on every downhill
advice: keep the long run slow and add two kilometres a week | practise gels before race day, not on it
advice: taper for two weeks and trust the training plan | alternate two pairs of running shoes
question: How many gels do you carry for a full marathon? | Which training plan suits a first-time runner?
question: Does anyone taper for three weeks before the race? | What pace should an easy run be?
es: Hoy he corrido veinte kilómetros a ritmo de maratón. | Las series en cuesta me dejaron las piernas destrozadas.
es: ¿Cuántos geles tomáis en una maratón? | Conviene bajar el volumen dos semanas antes de la carrera.
de: Heute bin ich dreißig Kilometer für den Marathon gelaufen. | Nach den Intervallen waren meine Waden völlig müde.
de: Welche Laufschuhe nehmt ihr für lange Läufe? | Lauft die langen Einheiten langsam, dann klappt der Wettkampf.
fr: J'ai couru vingt-cinq kilomètres pour préparer le marathon. | Mes mollets sont raides après le fractionné en côte.
fr: Quelle allure pour une sortie longue ? | Réduisez le volume d'entraînement deux semaines avant la course.
pt: Hoje corri vinte quilômetros no ritmo da maratona. | Meus tênis novos de corrida fizeram bolhas.
pt: Quantos géis vocês levam na maratona? | Corram os treinos longos bem devagar.
zh: 今天为了马拉松跑了二十公里。 | 间歇跑之后小腿一直很酸。 | 长距离训练一定要慢慢跑。 | 比赛前两周应该减少跑量。
"""

_SOURDOUGH = """
tags: sourdough | baking | bread | starter
did: baked two sourdough loaves with rye flour | fed my starter twice | proofed the dough overnight in the fridge
did: shaped a baguette without tearing it | scored the loaf with a new blade | tried eighty percent hydration
did: bought stone-ground flour from the mill | steamed the oven with a tray of ice | kneaded the brioche by hand
result: the crumb came out open and glossy | the crust crackled for ten minutes | the dough stuck to everything
result: the loaf spread flat like a pancake | the starter doubled in four hours | the bottom of the bread burnt
result: the oven spring was the best so far | the kitchen smelled of warm bread | the sour taste was finally there
advice: let the bulk fermentation double before shaping | keep the starter at a warm spot and feed it rye flour
advice: bake in a covered pot for the first twenty minutes | weigh the water and salt | cool the loaf before slicing
question: How do you stop dough from sticking to the basket? | Which flour gives your sourdough the best crumb?
question: How long can a starter stay in the fridge without feeding? | Do you autolyse before adding the salt?
es: Hoy he horneado un pan de masa madre con harina de centeno. | La masa se pegó al banetón y el pan quedó plano.
es: ¿Cuánto dejáis fermentar la masa en la nevera? | Alimentad la masa madre con harina integral.
de: Heute habe ich ein Sauerteigbrot mit Roggenmehl gebacken. | Der Teig klebte überall und das Brot lief breit.
de: Wie oft füttert ihr euren Sauerteig? | Backt das Brot zuerst im geschlossenen Topf, dann wird die Kruste knusprig.
fr: J'ai cuit un pain au levain avec de la farine de seigle. | La pâte collait partout et la mie est restée serrée.
fr: Combien de temps laissez-vous pousser la pâte au froid ? | Nourrissez le levain avant de pétrir.
pt: Hoje assei um pão de fermentação natural com centeio. | A massa grudou na bancada e o pão ficou achatado.
pt: Quanto tempo vocês deixam a massa na geladeira? | Esperem o pão esfriar antes de cortar.
zh: 今天用黑麦粉烤了酸面包。 | 面团太黏，面包没有发起来。 | 酸面种要每天喂面粉。 | 面包放凉以后再切。
"""

_CYCLING = """
tags: citycycling | bikelane | cycling | commute
did: cycled to work on the new bike lane | fixed a flat tyre at the traffic lights | counted cyclists on the bridge
did: took the cargo bike to the market | rode the ring road at rush hour | reported a van parked in the cycle lane
did: fitted mudguards and brighter lights | taught my daughter to ride in traffic | mapped safe cycling routes
result: the bike lane ended in mid junction | a lorry passed far too close | I overtook all cars in the jam
result: the protected lane felt safe for once | my chain was full of road salt | the bike racks were all taken
result: drivers turned right without looking | the green wave worked for cyclists | the commute took eighteen minutes
advice: take the whole lane where the road is narrow | lock the frame and the rear wheel to the rack
advice: ask the council for kerbs instead of paint | check brakes and tyre pressure monthly | watch for car doors
question: Which junction in town is worst for cyclists? | Do you wear a helmet on the daily bike commute?
question: Where can I park a cargo bike safely near the station? | How do you keep your bicycle chain clean in winter?
es: Esta mañana fui al trabajo en bicicleta por el carril bici. | Una furgoneta aparcada bloqueaba todo el carril bici.
es: ¿Dónde aparcáis la bicicleta cerca de la estación? | Poned luces y guardabarros en invierno.
de: Heute bin ich mit dem Fahrrad auf dem neuen Radweg gefahren. | Ein Lieferwagen stand mitten auf dem Radweg.
de: Wo schließt ihr euer Fahrrad am Bahnhof an? | Haltet Abstand zu parkenden Autos und prüft die Bremsen.
fr: Ce matin j'ai pris mon vélo sur la nouvelle piste cyclable. | Une camionnette était garée sur la piste cyclable.
fr: Où attachez-vous votre vélo près de la gare ? | Gardez vos distances avec les voitures garées.
pt: Hoje fui de bicicleta ao trabalho pela ciclovia nova. | Um carro estacionado bloqueava a ciclovia inteira.
pt: Onde vocês prendem a bicicleta perto da estação? | Usem luzes fortes na bicicleta à noite.
zh: 今天早上骑自行车上班，走新的自行车道。 | 有辆货车停在自行车道上。 | 晚上骑车一定要开灯。 | 自行车要锁好车架和后轮。
"""

_TELESCOPES = """
tags: astronomy | telescope | exoplanets | deepsky
did: read the new space telescope paper on exoplanets | watched the mirror alignment lecture
did: plotted the infrared spectrum of a distant galaxy | photographed Jupiter through an eight inch telescope
did: downloaded raw images from the space observatory | spent the night under a dark sky with the star chart
did: compared two deep field images of the same galaxy cluster | polished the mirror of my Dobsonian
result: the water line in the spectrum was obvious | the rings of Saturn were razor sharp | clouds hid the nebula
result: the galaxy turned out to be older than expected | the Moon washed out every faint star
result: the detector noise hid the exoplanet transit | four moons of Jupiter stood in a row | the comet was green
advice: let the telescope cool down before observing planets | stack many short exposures of the nebula
advice: check the calibration frames of the infrared camera first | start with binoculars and a star map
question: Which exoplanet should the space telescope observe next? | Which eyepiece do you use for Saturn?
question: Can a small telescope show the Orion nebula in town? | How far back in time can infrared telescopes see?
es: Anoche observé los anillos de Saturno con mi telescopio. | El telescopio espacial publicó una galaxia muy lejana.
es: ¿Qué ocular usáis para ver Júpiter? | Dejad enfriar el telescopio antes de mirar los planetas.
de: Gestern Nacht sah ich die Ringe des Saturn im Teleskop. | Das Weltraumteleskop fand Wasser auf einem Exoplaneten.
de: Welches Okular nehmt ihr für den Jupiter? | Lasst das Teleskop abkühlen, bevor ihr Planeten beobachtet.
fr: Hier soir j'ai observé les anneaux de Saturne au télescope. | Le télescope spatial a vu une galaxie lointaine.
fr: Quel oculaire pour observer Jupiter ? | Laissez refroidir le télescope avant de regarder les planètes.
pt: Ontem vi os anéis de Saturno com o telescópio. | O telescópio espacial encontrou uma galáxia distante.
pt: Qual ocular vocês usam para Júpiter? | Deixem o telescópio esfriar antes de observar.
zh: 昨晚用望远镜看到土星环。 | 太空望远镜发现了遥远的星系。 | 观测行星之前先让望远镜冷却。 | 用望远镜看木星很清楚。
"""

_HOUSEPLANTS = """
tags: houseplants | monstera | plantcare | repotting
did: repotted the monstera into a terracotta pot | watered the ferns from below | rooted pothos cuttings in a jar
did: moved the calathea away from the window | washed spider mites off the leaves | propagated a succulent from one leaf
did: put a grow light above the seedlings | pruned the ficus down to the stem | mixed bark and perlite into the soil
result: three new leaves unfurled | the roots had filled the whole pot | fungus gnats came out of the potting soil
result: the orchid dropped all its buds | the leaf tips turned brown and crisp | the cactus flowered for the first time
result: the stems grew long and pale | the peace lily stood up within an hour | the cuttings rotted in the water
advice: water only when the top of the soil is dry | wipe dust off the leaves so that the plant gets light
advice: repot in spring with a pot one size larger | raise the humidity with a tray of pebbles | quarantine new plants
question: Why do the leaves of my monstera turn yellow? | Which houseplant survives a dark hallway?
question: How do you get rid of fungus gnats in potting soil? | When should I fertilise an orchid?
es: Hoy he trasplantado la monstera a una maceta más grande. | Las hojas de mi helecho se están poniendo amarillas.
es: ¿Cada cuánto regáis las plantas de interior? | Regad solo cuando la tierra de la maceta esté seca.
de: Heute habe ich die Monstera in einen größeren Topf gepflanzt. | Die Blätter meiner Zimmerpflanze werden gelb.
de: Wie oft gießt ihr eure Zimmerpflanzen? | Gießt erst, wenn die Erde im Topf trocken ist.
fr: J'ai rempoté mon monstera dans un pot plus grand. | Les feuilles de ma plante verte jaunissent depuis hier.
fr: À quelle fréquence arrosez-vous vos plantes d'intérieur ? | Arrosez quand la terre du pot est sèche.
pt: Hoje replantei a monstera em um vaso maior. | As folhas da minha samambaia estão amarelas.
pt: Com que frequência vocês regam as plantas? | Reguem só quando a terra do vaso estiver seca.
zh: 今天给龟背竹换了一个大花盆。 | 我家绿植的叶子发黄了。 | 盆里的土干了再浇水。 | 室内植物要放在窗边有光的地方。
"""

_FILM = """
tags: filmphotography | darkroom | 35mm | analog
did: shot a roll of black and white film | developed my negatives in the bathtub | bought an old rangefinder camera
did: printed contact sheets in the darkroom | pushed the film two stops for a concert | scanned medium format negatives
did: loaded expired slide film | replaced the light seals of the camera | metered the shadows for a portrait
result: the grain looks wonderful in the shadows | half of the negatives were blank | the light leak ruined six frames
result: the colours of the slide film glow | the shutter sticks in the cold | the print had deep blacks
result: the developer was too warm and the highlights blocked up | the lens is soft wide open | dust spoiled every scan
advice: rate the film one stop slower and meter for the shadows | keep the developer at twenty degrees
advice: rinse negatives with distilled water to avoid stains | store film in the fridge | test the shutter before a trip
question: Which developer do you use for pushed black and white film? | Is medium format worth the cost per frame?
question: Where do you get slide film developed nowadays? | How do you flatten curled negatives before scanning?
es: Hoy he revelado un carrete en blanco y negro en casa. | La cámara analógica dejó pasar luz y perdí seis fotos.
es: ¿Qué revelador usáis para película forzada? | Guardad los carretes de fotos en la nevera.
de: Heute habe ich einen Schwarzweißfilm im Bad entwickelt. | Die Kamera hat ein Lichtleck, sechs Negative sind hin.
de: Welchen Entwickler nehmt ihr für Schwarzweißfilm? | Lagert eure Filme im Kühlschrank und belichtet die Schatten.
fr: J'ai développé une pellicule noir et blanc à la maison. | Mon vieil appareil argentique laisse passer la lumière.
fr: Quel révélateur utilisez-vous pour le noir et blanc ? | Gardez vos pellicules photo au frigo.
pt: Hoje revelei um filme preto e branco em casa. | A câmera analógica vazou luz e perdi seis fotos.
pt: Qual revelador vocês usam para filme? | Guardem os filmes fotográficos na geladeira.
zh: 今天在家冲洗了一卷黑白胶卷。 | 老相机漏光，毁了六张底片。 | 胶卷应该放在冰箱里保存。 | 暗房里放大照片很有意思。
"""

_POLLING = """
tags: polling | election | turnout | forecast
did: compared the weekend polls with the election forecast | reweighted the survey by age and education
did: answered a telephone poll about the mayor | read the exit poll methodology | plotted the polling average by party
did: checked the margin of error of the new survey | volunteered at a polling station | looked up postal vote turnout
result: both candidates are within the margin of error | the polling average barely moved | turnout beat the forecast
result: undecided voters broke for the challenger | the online panel missed older voters | the lead shrank to two points
result: the pollster changed its likely voter model | the swing districts decide everything | the exit poll was spot on
advice: look at the polling average, not at a single survey | read who paid for the poll and how voters were sampled
advice: ask for the sample size before quoting a lead | treat early turnout numbers with care | expect shared errors
question: Which pollster weights by past vote? | How large is the usual polling error a month before an election?
question: Why do online surveys and telephone polls differ so much? | Will turnout among young voters rise this time?
es: La última encuesta da un empate entre los dos candidatos. | La participación electoral fue mayor de lo previsto.
es: ¿Qué encuestas ponderan por voto anterior? | Mirad la media de encuestas y el margen de error.
de: Die neue Wahlumfrage sieht beide Kandidaten gleichauf. | Die Wahlbeteiligung war höher als in der Prognose.
de: Welches Institut gewichtet nach früherer Wahl? | Achtet bei Umfragen auf Stichprobe und Fehlerspanne.
fr: Le dernier sondage donne les deux candidats à égalité. | La participation électorale dépasse les prévisions.
fr: Quel institut redresse selon le vote passé ? | Regardez la moyenne des sondages et la marge d'erreur.
pt: A última pesquisa eleitoral mostra empate entre os candidatos. | O comparecimento às urnas superou a previsão.
pt: Qual instituto pondera pelo voto anterior? | Olhem a média das pesquisas e a margem de erro.
zh: 最新民调显示两位候选人势均力敌。 | 选举投票率高于预期。 | 看民调要注意抽样误差。 | 选民调查的样本太小了。
"""

_ENERGY = """
tags: heatpump | solar | homeenergy | insulation
did: read the meter of the heat pump | insulated the attic with wood fibre | mounted six solar panels on the balcony
did: bled all radiators and lowered the flow temperature | compared electricity tariffs | installed a home battery
did: sealed the draughty window frames | asked for quotes for a heat pump | charged the car from the solar roof
result: the heating bill fell by a third | the battery was empty before midnight | the inverter tripped at noon
result: the heat pump hums louder than promised | the solar panels fed power into the grid | the house stays warm
result: the electricity meter ran backwards | frost covered the outdoor unit | the subsidy paid half of the insulation
advice: insulate the roof before buying a heat pump | run the dishwasher when the solar panels produce most
advice: lower the flow temperature step by step | ask the grid operator about the meter early
question: How many kilowatt hours does your heat pump use in January? | Does a home battery ever pay for itself?
question: Which insulation do you recommend for an old attic? | How loud is the outdoor unit of your heat pump?
es: La bomba de calor ha bajado mi factura de la luz. | Hoy he instalado seis placas solares en el tejado.
es: ¿Cuántos kilovatios hora gasta vuestra bomba de calor? | Aislad el tejado antes de cambiar la calefacción.
de: Die Wärmepumpe hat meine Heizkosten um ein Drittel gesenkt. | Heute kamen sechs Solarmodule aufs Dach.
de: Wie viele Kilowattstunden braucht eure Wärmepumpe? | Dämmt zuerst das Dach und senkt die Vorlauftemperatur.
fr: La pompe à chaleur a réduit ma facture de chauffage. | J'ai posé six panneaux solaires sur le toit.
fr: Combien de kilowattheures consomme votre pompe à chaleur ? | Isolez les combles avant de changer de chauffage.
pt: A bomba de calor baixou minha conta de energia. | Hoje instalei seis painéis solares no telhado.
pt: Quantos quilowatts-hora gasta a sua bomba de calor? | Isolem o telhado antes de trocar o aquecimento.
zh: 热泵让取暖电费少了三成。 | 屋顶装了六块太阳能板。 | 先给屋顶做保温再装热泵。 | 太阳能发电可以存进家用电池。
"""


def _parse(text: str) -> dict[str, list[str]]:
    """Lines `part: phrase | phrase` as lists by part."""
    parts: dict[str, list[str]] = {}
    for line in text.strip().splitlines():
        part, phrases = line.split(": ", 1)
        parts.setdefault(part, []).extend(phrases.split(" | "))
    return parts


TOPICS = {
    "marathon": _parse(_MARATHON),
    "sourdough": _parse(_SOURDOUGH),
    "city_cycling": _parse(_CYCLING),
    "telescopes": _parse(_TELESCOPES),
    "houseplants": _parse(_HOUSEPLANTS),
    "film_photography": _parse(_FILM),
    "election_polling": _parse(_POLLING),
    "home_energy": _parse(_ENERGY),
}

WHEN = _parse("""
en: this morning | yesterday evening | over the weekend | last Tuesday | after work | on Sunday | earlier today
es: Buenos días. | Una novedad: | Por fin. | Os cuento: | Fin de semana bien aprovechado.
de: Guten Morgen. | Kurzer Bericht: | Endlich. | Ich erzähle mal: | Das Wochenende hat sich gelohnt.
fr: Bonjour à tous. | Petite nouvelle : | Enfin. | Je vous raconte : | Un week-end bien rempli.
pt: Bom dia, pessoal. | Uma novidade: | Finalmente. | Vou contar: | Fim de semana bem aproveitado.
zh: 大家好。 | 说一下， | 终于， | 分享一下， | 这个周末很充实。
""")

POST_FRAMES = (
    "{When} I {did}, and {result}.",
    "I {did} {when}; {result}. {question}",
    "{question} I {did} {when} and {result}.",
    "{Advice}. I {did} {when} and {result}.",
    "Small win {when}: I {did}. {Result}.",
    "Lesson learnt {when}: {advice}. {Result}.",
)
REPLY_FRAMES = (
    "@{user} same here: {result}. {Advice}.",
    "@{user} I {did} {when} and {result}.",
    "Good question. {Advice}, at least that worked when I {did}.",
    "Not so sure. When I {did}, {result}.",
    "Thanks for sharing! I {did} {when}. {question}",
    "This helped me {when}: {advice}.",
)
