/**
 * The names by which rules know operating systems and browsers: those that ua-parser-js 1.0.41 can tell, in lower case,
 * and what people also call them.
 *
 * A name that no user agent can ever have is a mistake, and is said to be one. Nothing here reads a request.
 */
import { nearest } from '../schema/nearest.ts';

/** Distributions of Linux: each has its own name, and `linux` means them all. */
const LINUX = names(
  'ubuntu,kubuntu,xubuntu,lubuntu,nubuntu,debian,suse,opensuse,gentoo,arch,mint,slackware,fedora,mandriva,centos,' +
    'pclinuxos,red hat,zenwalk,linpus,raspbian,deepin,manjaro,elementary os,sabayon,linspire,mageia,vectorlinux,joli',
);

const OTHER_SYSTEMS = names(
  'ios,android,windows,macos,linux,chromeos,harmonyos,openharmony,windows phone,windows mobile,windows iot,ubuntu touch,' +
    'bada,blackberry,kaios,maemo,meego,qnx,rim tablet os,sailfish,series40,symbian,tizen,webos,firefox os,watchos,' +
    'chromecast,viera,netrange,nettv,nintendo,playstation,xbox,palm,plan 9,minix,risc os,contiki,hurd,gnu,bsd,freebsd,' +
    'netbsd,openbsd,pc-bsd,ghostbsd,dragonfly,haiku,solaris,opensolaris,aix,beos,os/2,amigaos,morphos,openvms,fuchsia,' +
    'hp-ux,serenityos,unix',
);

/** Other names of operating systems, of ua-parser-js and of people. */
const SYSTEM_ALIASES = new Map([
  ['mac os', 'macos'],
  ['mac os x', 'macos'],
  ['os x', 'macos'],
  ['chromium os', 'chromeos'],
  ['chrome os', 'chromeos'],
  ['android-x86', 'android'],
  ['redhat', 'red hat'],
  ['windows phone os', 'windows phone'],
]);

const BROWSERS = names(
  'chrome,chrome webview,chrome headless,chromium,safari,mobile safari,firefox,firefox focus,firefox reality,edge,opera,' +
    'opera mini,opera mobi,opera tablet,opera gx,opera touch,opera coast,samsung internet,ie,iemobile,brave,vivaldi,' +
    'duckduckgo,yandex,ucbrowser,qqbrowser,wechat,baidu,quark,miui browser,huawei browser,vivo browser,oculus browser,' +
    'sailfish browser,pico browser,heytap,whale,silk,kindle,puffin,coc coc,maxthon,sogou explorer,sogou mobile,360,2345,' +
    'smart lenovo browser,avast secure browser,avg secure browser,android browser,facebook,instagram,snapchat,twitter,' +
    'linkedin,tiktok,line,kakaotalk,kakaostory,naver,daum,alipay,weibo,douyin,klarna,klar,gsa,electron,tesla,konqueror,dolphin,' +
    'epiphany,midori,falkon,qupzilla,iron,iridium,dragon,icedragon,librewolf,wolvic,waterfox,palemoon,basilisk,' +
    'seamonkey,iceweasel,icecat,k-meleon,netscape,mozilla,cobalt,webkit,lynx,links,w3m,phantomjs,ladybird,flow',
);

const BROWSER_ALIASES = new Map([
  ['internet explorer', 'ie'],
  ['microsoft edge', 'edge'],
  ['google chrome', 'chrome'],
  ['uc browser', 'ucbrowser'],
  ['qq browser', 'qqbrowser'],
]);

function names(list: string): ReadonlySet<string> {
  return new Set(list.split(','));
}

export function isLinux(os: string): boolean {
  return LINUX.has(os);
}

/** The name under which rules know an operating system. */
export function normaliseOs(name: string): string {
  const lower = name.toLowerCase();
  return SYSTEM_ALIASES.get(lower) ?? lower;
}

/** The name under which rules know a browser. */
export function normaliseBrowser(name: string): string {
  const lower = name.toLowerCase();
  return BROWSER_ALIASES.get(lower) ?? lower;
}

/** What is wrong with the name of an operating system in a rule, or null. */
export function osFault(name: string): string | null {
  const os = normaliseOs(name);
  if (LINUX.has(os) || OTHER_SYSTEMS.has(os)) return null;
  if (os === 'ipados')
    return 'iPads are told as { "os": "ios", "model": "iPad" }; user agents have no "ipados"';
  const meant = nearest(name, [...OTHER_SYSTEMS, ...LINUX]);
  const hint =
    meant === undefined
      ? 'such as "ios", "android", "windows", "macos" or "linux"'
      : `did you mean "${meant}"?`;
  return `no user agent tells an operating system "${name}"; ${hint}`;
}

/** What is wrong with the name of a browser in a rule, or null. There are too many to refuse what is merely not known. */
export function browserFault(name: string): string | null {
  const browser = normaliseBrowser(name);
  if (BROWSERS.has(browser)) return null;
  const meant = nearest(browser, BROWSERS);
  return meant === undefined ? null : `no user agent tells a browser "${name}"; did you mean "${meant}"?`;
}

/** Apple's devices say what they are and no more. */
const APPLE: ReadonlyMap<string, string> = new Map([
  ['iphone', 'mobile'],
  ['ipod touch', 'mobile'],
  ['ipad', 'tablet'],
]);

/** What is wrong with the name of a model in a rule, or null. */
export function modelFault(name: string): string | null {
  const lower = name.toLowerCase().trim();
  const [family] = [...APPLE.keys()].filter((each) => lower.startsWith(each) && lower !== each);
  if (family === undefined) return null;
  const shown = family === 'ipod touch' ? family : `iP${family.slice(2)}`;
  return `no ${shown} tells which one it is, so there is no model "${name}"; write "${shown}"`;
}

/** What is wrong with facets that no device has together, or null. An empty list asks for nothing. */
export function modelContradiction(
  models: readonly string[],
  systems: readonly string[],
  types: readonly string[],
): string | null {
  const typesOfModels = models.map((each) => APPLE.get(each.toLowerCase()));
  if (models.length === 0 || typesOfModels.includes(undefined)) return null;
  if (systems.length > 0 && !systems.some((each) => normaliseOs(each) === 'ios'))
    return 'an iPhone or iPad has the operating system "ios" and no other; leave out one of the two';
  if (types.length === 0 || types.includes('bot') || types.some((each) => typesOfModels.includes(each)))
    return null;
  return 'an iPhone is of type "mobile", an iPad "tablet"; leave out the type';
}
