/**
 * The codes of countries: ISO 3166-1, as region databases have them, and what people write in their place.
 *
 * Nothing here reads a request. Facts of the standard as of 2024; `XK` (Kosovo) is no code of it, and databases use it all the same.
 */

/** Alpha-2 and alpha-3 of each country. */
const CODES = (
  'ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE BABIH BBBRB ' +
  'BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR ' +
  'BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR ' +
  'CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK ' +
  'FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS ' +
  'GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ' +
  'ISISL ITITA JEJEY JMJAM JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO ' +
  'LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD ' +
  'MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER ' +
  'NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM ' +
  'PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN SESWE SGSGP ' +
  'SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF ' +
  'TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY ' +
  'UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE'
).split(' ');

const COUNTRIES = new Set([...CODES.map((codes) => codes.slice(0, 2)), 'XK']);

/** Codes that are none, or none any more: what they mean now. */
const MEANT = new Map([
  ...CODES.map((codes): [string, string] => [codes.slice(2), codes.slice(0, 2)]),
  ['UK', 'GB'],
  ['EL', 'GR'],
  ['FX', 'FR'],
  ['BU', 'MM'],
  ['DD', 'DE'],
  ['SU', 'RU'],
  ['TP', 'TL'],
  ['ZR', 'CD'],
  ['XKX', 'XK'],
]);

/** What is wrong with the code of a country, in any case, or null. */
export function countryFault(code: string): string | null {
  const upper = code.toUpperCase();
  if (COUNTRIES.has(upper)) return null;
  const meant = MEANT.get(upper) ?? byName().get(code.toLowerCase());
  const hint =
    meant === undefined
      ? (HINTS.get(upper) ?? 'write one such as "CN"')
      : `write "${meant}" for ${nameOf(meant)}`;
  const [country, subdivision] = upper.split('-', 2);
  if (subdivision !== undefined && COUNTRIES.has(country!))
    return `"${code}" is no ISO 3166-1 alpha-2 code; write country: "${country}", subdivision: "${subdivision}"`;
  return `"${code}" is no ISO 3166-1 alpha-2 code; ${hint}`;
}

const HINTS = new Map([
  ['EU', 'the European Union is no country: list its members, such as ["DE", "FR"]'],
  ['AP', 'a region is no country: list its countries, such as ["CN", "JP"]'],
  ['AN', 'the Netherlands Antilles are "BQ", "CW" and "SX" now'],
  ['CS', 'it is "RS" and "ME" now, or "CZ" and "SK"'],
  ['YU', 'it is "RS" and "ME" now'],
]);

/** Subdivisions of China by the numbers that ISO 3166-2 had until 2017. */
const FORMER_CHINESE = new Map(
  (
    '11BJ 12TJ 13HE 14SX 15NM 21LN 22JL 23HL 31SH 32JS 33ZJ 34AH 35FJ 36JX 37SD 41HA 42HB 43HN 44GD 45GX 46HI 50CQ 51SC 52GZ 53YN 54XZ ' +
    '61SN 62GS 63QH 64NX 65XJ'
  )
    .split(' ')
    .map((pair) => [pair.slice(0, 2), pair.slice(2)]),
);

/** What is wrong with the code of a subdivision of one of these countries (of any, where there are none), or null. */
export function subdivisionFault(code: string, countries: readonly string[]): string | null {
  const dash = /^([A-Za-z]{2})-([A-Za-z0-9]{1,3})$/.exec(code);
  if (dash !== null) {
    const [, country = '', subdivision = ''] = dash;
    return `"${code}" is no ISO 3166-2 code without its country; write country: "${country.toUpperCase()}", subdivision: "${subdivision.toUpperCase()}"`;
  }
  if (!/^[A-Za-z0-9]{1,3}$/.test(code))
    return `"${code}" is no ISO 3166-2 code without its country, such as "SH" for CN-SH`;
  const now = FORMER_CHINESE.get(code);
  if (
    now !== undefined &&
    countries.length > 0 &&
    countries.every((country) => country.toUpperCase() === 'CN')
  )
    return `"${code}" was CN-${now} until 2017; write "${now}"`;
  return null;
}

function nameOf(code: string): string {
  return new Intl.DisplayNames('en', { type: 'region' }).of(code) ?? code;
}

let names: ReadonlyMap<string, string> | null = null;

/** Codes by English name, in lower case; for a hint only. */
function byName(): ReadonlyMap<string, string> {
  return (names ??= new Map([...COUNTRIES].map((code) => [nameOf(code).toLowerCase(), code])));
}
