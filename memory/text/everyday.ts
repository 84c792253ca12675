// Everyday English words for one thing, and what belongs to everyday headings: a question names the heading, the answer the thing.

/** The first word of a group goes with each of the others, both ways. Only words that hardly ever mean another thing. */
export const EVERYDAY = `
mom mother mum mama parent|dad father papa parent|parent mother father mom dad|kid child children son daughter baby toddler|
grandma grandmother granny nana|grandpa grandfather granddad|grandparent grandma grandpa grandmother grandfather|
sibling brother sister|brother bro|spouse husband wife|husband partner spouse|wife partner spouse|partner boyfriend girlfriend spouse|
girlfriend gf dating|boyfriend bf dating|date dating romantic|fiance engaged engagement propose|engaged engagement ring propose|
marry wedding married bride groom honeymoon|divorce separated breakup split|pregnant pregnancy expecting baby|
family relative parent sibling kid|relative uncle aunt cousin nephew niece grandparent|friend buddy pal mate friendship|
roommate flatmate|neighbor neighbour neighborhood|coworker colleague teammate|colleague teammate|boss manager supervisor|

pet dog cat puppy kitten hamster rabbit parrot fish turtle|dog puppy pup doggy|cat kitten kitty|animal wildlife dog cat bird horse|
bird parrot eagle owl|adopt adoption rescue foster|

job work career occupation profession|career profession job|profession engineer teacher nurse doctor lawyer writer artist designer|
company firm employer startup|office workplace|salary pay income wage|promotion promoted raise|interview recruiter|resign quit|
fired layoff unemployed|hire hired recruit|business shop startup entrepreneur company|project prototype|deadline due|meeting appointment call|
volunteer volunteering charity shelter|charity donation donate fundraiser nonprofit|fundraiser fundraising donation charity raise|
education school college university degree|school college university campus|university college campus|degree graduate diploma bachelor master|
graduate graduation degree|student pupil|teacher instructor professor tutor|coach trainer mentor|mentor guide|course class lesson workshop training|
exam test quiz|study research studying learn|scholarship grant|language spanish french german italian chinese japanese english|

movie film cinema|film movie documentary|series show episode season|show performance|book novel read reading|novel author|author writer|
story tale|magazine article|poem poetry poet|song music tune lyrics|music song album band playlist|concert gig live performance|
band group|singer vocalist artist musician|musician band singer|instrument guitar piano violin drum flute clarinet saxophone cello keyboard ukulele|
dance dancing ballet salsa|art painting drawing sculpture pottery gallery|paint painting draw sketch|painting canvas portrait landscape watercolor|
craft pottery knitting sewing woodworking|pottery clay ceramic|photo picture photograph image pic|photography photographer camera photo|
museum exhibit exhibition gallery|theater theatre play musical|hobby interest pastime collect|passion passionate love|
game videogame gaming|console playstation xbox nintendo|boardgame chess puzzle cards|toy doll lego|collection collect collector|

sport football soccer basketball baseball tennis hockey volleyball golf swimming cycling surfing skiing boxing climbing rugby cricket|
exercise workout gym fitness training|workout gym training|run jog marathon running|marathon race run|bike bicycle cycling ride|
hike hiking trail trek|camp camping tent campfire|swim swimming pool|yoga meditation stretch|meditation mindfulness meditate|
match tournament|team club squad|player teammate athlete|win victory won champion|contest competition tournament|competition tournament contest|
prize award trophy medal|award trophy medal honor|skill technique|ski skiing snowboard|surf surfing waves|fishing fish|

food meal dish pizza pasta salad soup sandwich burger sushi chicken steak rice bread|meal dinner lunch breakfast|dinner supper|breakfast brunch|
dessert cake pie cookie icecream pastry|snack candy chips cookie|cook cooking bake grill recipe|bake baking cake bread cookie|recipe ingredient dish|
restaurant cafe diner bistro|drink beverage coffee tea beer wine juice soda|coffee espresso latte|alcohol beer wine drink|
vegetarian vegan|diet nutrition eating healthy|fruit apple banana orange berry|vegetable veggie veg|

car vehicle automobile|vehicle car truck van motorcycle|plane airplane flight|train railway|trip travel journey tour|travel trip abroad journey flight|
vacation holiday trip getaway|roadtrip road trip|hotel hostel resort|luggage suitcase|passport visa|
country france italy spain germany japan china canada mexico england britain ireland scotland portugal greece turkey india australia brazil|
country sweden norway switzerland thailand vietnam korea egypt morocco argentina peru russia poland netherlands america usa|
city paris london rome berlin tokyo barcelona madrid lisbon amsterdam vienna chicago boston seattle toronto sydney dublin|
city town|state california texas florida oregon colorado hawaii alaska arizona michigan|abroad overseas|
beach ocean sea shore coast|ocean sea|mountain hill peak summit|lake river pond|forest wood|park garden|nature outdoors scenery wildlife|
house home|home house apartment|apartment flat condo rent|move moved relocate moving|couch sofa|furniture table chair sofa desk bed|
garden yard plant gardening flower|flower rose sunflower tulip lily|plant flower|tree forest|kitchen stove oven|

doctor physician|hospital clinic er|medicine medication drug pill|therapy therapist counseling counselor|therapist counselor psychologist|
health healthy medical|illness disease sick|injury injure hurt sprain fracture broken|pain ache hurt sore|allergy allergic|
surgery operation|diagnosis diagnosed|symptom pain fever cough nausea|checkup doctor appointment|weight pounds kilos|sleep insomnia nap rest|
mental therapy anxiety depression|pregnancy baby|glasses contacts|tooth dentist dental|

happy glad joyful thrilled joy|sad unhappy upset down|scared afraid fear nervous|fear afraid scared phobia|angry mad furious|
tired exhausted|excited thrilled stoked|stress stressed pressure overwhelmed|worry worried anxious concern|proud pride|lonely alone|
grateful thankful appreciate|surprise surprised shock|relax calm unwind chill|destress relax unwind stress|cope handle manage|
motivate motivation inspire|inspire inspiration motivate|dream wish hope aspiration|goal aim objective dream|plan intend|
challenge obstacle struggle difficulty|struggle hard difficult|setback failure problem|problem issue trouble|success achievement accomplish|
achieve accomplish achievement milestone|milestone achievement|memory remember memories|regret sorry|

party celebration celebrate|celebrate celebration party|birthday born|gift present|holiday christmas thanksgiving easter|
festival fair parade carnival|parade march|ceremony event|event conference meetup festival|

buy purchase bought order|purchase buy bought|shop store mall|store shop|money cash|price cost|cost price expensive|afford budget|
debt loan mortgage|sell sold|lose lost missing|break broke broken|fix repair mend|repair fix|damage damaged broken crash|accident crash collision|
clothes shirt dress jacket shoes pants|shoes sneakers boots|jewelry necklace ring bracelet earring|

phone telephone cellphone smartphone mobile|computer laptop pc|app application software|software app program|website site blog|blog post|
email mail|password credential login|bug defect error|error failure exception|server host|database db|code coding programming|
program programming coding|deploy release rollout|meeting standup|repo repository|config configuration setting|docs documentation|

religion faith church god|church faith|military army veteran soldier navy|politics political election government|election vote campaign|
community neighborhood local|gay lgbtq lesbian queer|transgender trans|pride lgbtq|identity identify|protest march rally|law legal lawyer|
environment nature climate|weather rain snow sun storm|storm hurricane flood|flood storm|

begin start|finish complete end|help assist aid|support encourage|speak talk|chat talk|big large huge|small little tiny|fast quick|smart clever|
beautiful gorgeous|funny hilarious|hard difficult tough|easy simple|favorite favourite best|enjoy love|color colour red blue green yellow purple|
nickname call name|old age|reason why because|advice tip suggestion|recommend suggest suggestion|suggest recommend|opinion view|idea thought|
visit visited|attend attended went|join joined sign|symbol symbolize represent meaning|symbolize symbol represent|describe description|
similar common both|prefer favorite rather|hate dislike|dislike hate|own owned`;
