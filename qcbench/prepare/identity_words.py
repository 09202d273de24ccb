"""Words by which a person is told from a sequence of pulses: given names, words of imaging, and stand-ins for a name.

Lists end; a rare name is found by what stands around it, by its place, or in the list of known patients.
"""

from __future__ import annotations

_GIVEN_NAMES = """
adele adrien agathe agnes ahmed aicha alain albert alexandra alexandre alexis alfred alice aline amandine amelie
amina anais andre andrea anna anne annick annie antoine antonio antony arlette arnaud arthur aurelie aurelien
axelle barbara baptiste bastien beatrice benjamin benoit bernadette bernard bertrand betty brigitte bruno camille
carla carlos carmen carole caroline catherine cecile cedric celine chantal charles charlotte chloe christelle
christian christiane christine christophe christopher claire claude claudine clemence clement colette corinne
cyril damien daniel daniele david deborah delphine denis denise didier dimitri dominique dorothee edith edouard
elisabeth elizabeth elena elise ella elodie emile emilie emma emmanuel emmanuelle enzo eric erika estelle esther
etienne eugene evelyne fabien fabienne fabrice fadila farid fatima fatou felix fernand fernando florian francine
francis francisco franck francois francoise frederic gabriel gabrielle gaelle genevieve george georges georgette
gerald gerard germaine ghislaine gilbert gilles ginette giovanni giuseppe gregory guillaume guy gwenaelle hans
harry hassan helen helene henri henriette henry herve hubert hugo hugues ibrahim ines irene isabelle isaac ivan
jacqueline jacques james janine jason jean jeanne jeannine jennifer jeremy jerome jessica joel johanna john jonathan
jose josephine josette joseph joyce juan judith jules julie julien juliette karim karine katia kevin khadija
laetitia laurence laurent laurie lea leila leon leonie lionel lisa louis louise louisette luc lucas lucette lucie
lucien lucienne lydia lydie mamadou manon manuel marcel marcelle margaret margaux marguerite maria marianne marie
marine mario marion marthe martin martine mary mathieu mathilde matthieu maurice maxime melanie michael michel
michele micheline michelle miguel mireille mohamed mohammed monique mustapha myriam nadia nadine nathalie nathan
nicole nicolas noemie nora odette odile oliver olivier olga pascal pascale patrice patricia patrick paul paula
paulette pauline pedro peter philippe pierre pierrette quentin rachel rachid raphael raymond raymonde rebecca regine
regis remi remy rene renee richard robert roger rolande romain ronald rosalie roxane ruth sabine sabrina salima
samia samira samuel sandra sandrine sarah sebastien serge severine simone sofia sonia sophie stefan stefano
stephane stephanie steven suzanne sylvain sylvie tatiana theo therese thibault thierry thomas timothee valentin
valerie vanessa veronique vincent virginie viviane walter wilfried william xavier yann yannick yasmina yolande
youssef yves yvette yvonne zoe jean-pierre jean-claude anne-marie marie-claude
"""
#: Common given names of France and its neighbours, folded; those that are words or scanners too are left out.
GIVEN_NAMES = frozenset(_GIVEN_NAMES.split())

_OTHER_WORDS = """
t1 t2 t1w t2w flair mprage mpr mp2rage bravo spgr fspgr tfe ffe swi dwi dti adc pd stir tof cube space vista sag
sagittal ax axial cor coronal tra transverse transversal oblique iso isotropic fast turbo spin echo gradient field
gado gadolinium inj injection injecte iv avec sans with without post pre apres avant and et or ou de du la le les
des un une the of in on at to for brain head neuro cerveau crane tete encephale cerebral cerebrale skull spine
rachis orbite hypophyse routine standard protocole protocol irm mri mr scan scanner scout localizer survey suivi
follow up baseline dementia demence tumor tumeur epilepsy epilepsie sep sclerose stroke avc trauma control
siemens healthineers philips ge medical systems canon toshiba magnetom skyra aera avanto verio prisma sola vida
achieva ingenia titan galan signa optima discovery original primary derived secondary norm nd mean run ses sub
acq task rec dir hospital hopital clinique centre center chu simulated simule image images volume slice slices left
right anterior posterior superior inferior high low res resolution test phantom fantome qc quality control none
null true false yes no unknown other not is are was by from see this that no name error file found warning info
debug university universite institut institute service departement department radiology radiologie
"""
#: Words of imaging, hospitals' habits and computing: beside one of them a given name or a capital names nobody.
OTHER_WORDS = frozenset(_OTHER_WORDS.split())

_STAND_INS = """
anonymous anonymized anonymised anonymise anonyme anon removed redacted deidentified de-identified none unknown
inconnu n/a na null patient dummy x xx xxx xxxx xxxxx 0 00 000 000y o m f - no name noname no_name
"""
#: What de-identified files have in place of a person.
STAND_INS = frozenset(_STAND_INS.split())

#: Months as they are written in French and English, folded, to their number.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan janvier janv",
            "february feb fevrier fevr",
            "march mar mars",
            "april apr avril avr",
            "may mai",
            "june jun juin",
            "july jul juillet juil",
            "august aug aout",
            "september sept sep septembre",
            "october oct octobre",
            "november nov novembre",
            "december dec decembre",
        ),
        start=1,
    )
    for name in names.split()
}
