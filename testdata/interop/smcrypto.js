// Judges files with sm-crypto and with readers of its own; shares no code with elicence or with the other judges.
//
// usage: node smcrypto.js < NAMES > VERDICTS
//
// One name a line; one verdict a line: the name, then part=verdict for each part. README.md says what the words mean.
'use strict'
const fs = require('fs')
const path = require('path')
const zlib = require('zlib')
const crypto = require('crypto')
const sm2 = require('sm-crypto/dist/sm2.js')
const sm3js = require('sm-crypto/dist/sm3.js')

const OID = {
  sm3: '2a811ccf55018311', sm2: '2a811ccf55018375', sm2sign: '2a811ccf5501822d01', key: '2a8648ce3d0201', curve: '2a811ccf5501822d',
  signedData: '2a864886f70d010702', signedDataGM: '2a811ccf550601040202', data: '2a864886f70d010701', dataGM: '2a811ccf550601040201',
  tstInfo: '2a864886f70d0109100104', contentType: '2a864886f70d010903', messageDigest: '2a864886f70d010904',
  signingCertificate: '2a864886f70d010910022f', sha256: '608648016503040201', ecdsa: '2a8648ce3d040302',
}
const GM = { digest: OID.sm3, signature: [OID.sm2, OID.sm2sign] }
const PADES = { digest: OID.sha256, signature: [OID.ecdsa] }

class Unreadable extends Error {}
function need (condition, what) { if (!condition) throw new Unreadable(what) }
const hex = b => b.toString('hex')
const same = (a, b) => Buffer.compare(a, b) === 0

// node reads one DER element: definite, shortest lengths.
function node (data, at = 0) {
  need(at + 2 <= data.length && (data[at] & 31) !== 31 && data[at + 1] !== 0x80, 'DER form')
  let length = data[at + 1]
  let start = at + 2
  if (length & 0x80) {
    const n = length & 0x7f
    need(n <= 4 && start + n <= data.length, 'DER length')
    length = data.readUIntBE(start, n)
    start += n
    need(length >= 0x80 && length >= 2 ** (8 * (n - 1)), 'DER length is not the shortest')
  }
  const end = start + length
  need(end <= data.length, 'DER ends early')
  return { tag: data[at], value: data.subarray(start, end), raw: data.subarray(at, end), end }
}

function children (value) {
  const out = []
  for (let at = 0; at < value.length; at = out[out.length - 1].end) out.push(node(value, at))
  return out
}

const kids = n => children(n.value)

// whole gives the elements of the one SEQUENCE that fills data; optional ones may be missing at its end.
function whole (data, tags, optional = 0) {
  const n = node(data)
  need(n.tag === 0x30 && n.end === data.length, 'SEQUENCE')
  const parts = kids(n)
  need(parts.length >= tags.length - optional && parts.length <= tags.length, 'number of elements')
  parts.forEach((p, i) => need(tags[i] === null || tags[i] === p.tag, 'tags'))
  return parts
}

function bits (n) {
  need(n.tag === 3 && n.value.length > 1 && n.value[0] === 0, 'BIT STRING of whole bytes')
  return n.value.subarray(1)
}

function isOID (n, ...ids) { return n.tag === 6 && ids.includes(hex(n.value)) }

function algorithm (n, ...ids) {
  const parts = kids(n)
  need(n.tag === 0x30 && parts.length <= 2 && isOID(parts[0], ...ids), 'algorithm')
  need(parts.length === 1 || hex(parts[1].raw) === '0500', 'parameters')
}

// remembered keeps answers by what was asked.
function remembered (f) {
  const answers = new Map()
  return (...args) => {
    const key = args.map(a => crypto.createHash('sha256').update(a).digest('hex')).join()
    if (!answers.has(key)) answers.set(key, f(...args))
    return answers.get(key)
  }
}

const sm3 = remembered(data => Buffer.from(sm3js(Array.from(data)), 'hex'))

function publicKey (certificate) {
  const tbs = kids(whole(certificate, [0x30, 0x30, 3])[0])
  const [alg, key] = kids(tbs[6])
  const ids = kids(alg)
  need(isOID(ids[0], OID.key) && isOID(ids[1], OID.curve), 'key algorithm')
  need(bits(key).length === 65 && bits(key)[0] === 4, 'public key')
  return hex(bits(key))
}

// integer is an INTEGER of DER as 32 bytes in hex.
function integer (n) {
  let v = n.value
  need(v.length > 0 && v[0] < 0x80 && (v.length === 1 || v[0] !== 0 || v[1] >= 0x80), 'INTEGER')
  if (v[0] === 0) v = v.subarray(1)
  need(v.length <= 32, 'INTEGER')
  return hex(v).padStart(64, '0')
}

const verifies = remembered((certificate, message, signature) => {
  const [r, s] = whole(signature, [2, 2]).map(integer)
  const key = publicKey(certificate)
  need(sm2.verifyPublicKey(key), 'public key is not on the curve')
  return sm2.doVerifySignature(Array.from(message), r + s, key, { hash: true, userId: '1234567812345678' })
})

function sequence (body) {
  const n = body.length
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : n < 0x10000 ? [0x82, n >> 8, n & 255] : [0x83, n >> 16, n >> 8 & 255, n & 255]
  return Buffer.concat([Buffer.from([0x30, ...length]), body])
}

// seal reads a SESeal of version 1, 4 or 5.
function seal (der) {
  const info = kids(node(der))[0]
  const header = whole(kids(info)[0].raw, [0x16, 2, 0x16])
  const version = hex(header[1].value)
  need(header[0].value.toString() === 'ES' && ['01', '04', '05'].includes(version), 'seal header')
  let cert, alg, value, signed
  if (version === '01') {
    const sign = whole(der, [0x30, 0x30])[1];
    [cert, alg, value] = whole(sign.raw, [4, 6, 3])
    signed = sequence(Buffer.concat([info.raw, cert.raw, alg.raw]))
  } else {
    [, cert, alg, value] = whole(der, [0x30, 4, 6, 3, 0xa0], 1)
    signed = info.raw
  }
  need(isOID(alg, OID.sm2), 'algorithm')
  const property = kids(whole(info.raw, [0x30, 0x16, 0x30, 0x30, null], 1)[2])
  const kind = version === '01' ? '01' : hex(property[2].value)
  return { kind, listed: kids(property[version === '01' ? 2 : 3]), good: verifies(cert.value, signed, bits(value)) }
}

function lists (s, certificate) {
  if (s.kind === '02') return s.listed.some(e => same(kids(e)[1].value, sm3(certificate)))
  return s.listed.some(e => same(e.value, certificate) || same(e.raw, certificate))
}

// signedData reads a CMS SignedData with one signer, in either family of identifiers.
function signedData (der, family, ...inner) {
  const [kind, content] = whole(der, [6, 0xa0])
  need(isOID(kind, OID.signedData, OID.signedDataGM), 'content type')
  const body = whole(content.value, [2, 0x31, 0x30, 0xa0, 0x31])
  if (inner.includes(OID.tstInfo)) need(hex(body[0].value) === (isOID(kind, OID.signedDataGM) ? '01' : '03'), 'version')
  if (family !== GM) need(hex(body[0].value) === '01', 'version')
  const digests = kids(body[1])
  need(digests.length === 1, 'digest algorithms')
  algorithm(digests[0], family.digest)
  const encapsulated = kids(body[2])
  need(isOID(encapsulated[0], ...inner), 'content')
  const infos = kids(body[4])
  need(infos.length === 1, 'signers')
  const parts = kids(infos[0])
  const attributes = parts[3].tag === 0xa0 ? parts.splice(3, 1)[0] : null
  need(parts.map(p => p.tag).join() === '2,48,48,48,4' && hex(parts[0].value) === '01', 'SignerInfo')
  algorithm(parts[2], family.digest)
  algorithm(parts[3], ...family.signature)
  const named = kids(body[3]).filter(c => {
    const tbs = kids(kids(c)[0])
    return same(Buffer.concat([tbs[3].raw, tbs[1].raw]), parts[1].value)
  })
  need(named.length === 1, "signer's certificate")
  return { encapsulated, certificate: named[0].raw, attributes, value: parts[4].value }
}

function attributeValues (attributes) {
  const out = {}
  for (const a of kids(attributes)) {
    const [kind, values] = whole(a.raw, [6, 0x31])
    need(!(hex(kind.value) in out) && kids(values).length === 1, 'attributes')
    out[hex(kind.value)] = kids(values)[0]
  }
  return out
}

const asSet = attributes => Buffer.concat([Buffer.from([0x31]), attributes.raw.subarray(1)])

function timestamp (der, message) {
  const { encapsulated, certificate, attributes, value } = signedData(der, GM, OID.tstInfo)
  const info = node(encapsulated[1].value)
  need(attributes && info.tag === 4 && info.end === encapsulated[1].value.length, "token's content")
  const imprint = kids(kids(node(info.value))[2])
  algorithm(imprint[0], OID.sm3)
  const values = attributeValues(attributes)
  need(isOID(values[OID.contentType], OID.tstInfo), 'content type attribute')
  const bound = kids(kids(kids(values[OID.signingCertificate])[0])[0])
  let digest = crypto.createHash('sha256').update(certificate).digest()
  if (bound[0].tag === 0x30) {
    algorithm(bound[0], OID.sm3)
    digest = sm3(certificate)
  }
  return same(imprint[1].value, sm3(message)) && same(values[OID.messageDigest].value, sm3(info.value)) &&
    same(bound.find(b => b.tag === 4).value, digest) && verifies(certificate, asSet(attributes), value)
}

// cms judges a CMS signature over these bytes.
function cms (der, signed) {
  const digest = sm3(signed)
  const { encapsulated, certificate, attributes, value } = signedData(der, GM, OID.data, OID.dataGM)
  const content = encapsulated.length > 1 ? node(encapsulated[1].value).value : null
  if (!attributes && !content) {
    const good = verifies(certificate, signed, value)
    return { document: good, signature: good }
  }
  if (!attributes) return { document: same(content, digest), signature: verifies(certificate, content, value) }
  const values = attributeValues(attributes)
  need(same(values[OID.contentType].raw, encapsulated[0].raw), 'content type attribute')
  const claimed = values[OID.messageDigest].value
  const inner = !content || same(claimed, sm3(content))
  return { document: same(content || claimed, digest), signature: inner && verifies(certificate, asSet(attributes), value) }
}

// pades judges the signature for readers without SM2: over these bytes, by the certificate that it binds. SM2 is not
// asked for, so that Node's own crypto will do.
function pades (der, signed) {
  const { encapsulated, certificate, attributes, value } = signedData(der, PADES, OID.data)
  need(attributes && encapsulated.length === 1, 'detached, with attributes')
  const values = attributeValues(attributes)
  need(same(values[OID.contentType].raw, encapsulated[0].raw), 'content type attribute')
  const sha256 = b => crypto.createHash('sha256').update(b).digest()
  const bound = kids(kids(kids(values[OID.signingCertificate])[0])[0])
  whole(value, [2, 2]).forEach(integer)
  return same(values[OID.messageDigest].value, sha256(signed)) && bound.length === 1 && same(bound[0].value, sha256(certificate)) &&
    crypto.verify('sha256', asSet(attributes), new crypto.X509Certificate(certificate).publicKey, value)
}

// containers gives of each signature its encoding, the signed bytes and the canonical DER of Contents. Each covers the
// file up to the end of its revision, the last all of it.
function containers (pdf) {
  const text = pdf.toString('latin1')
  const out = []
  let before = 0
  for (const m of text.matchAll(/\/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]/g)) {
    const [start, a, b, c] = m.slice(1).map(Number)
    need(start === 0 && a > before && a < b && b + c <= pdf.length && /\n%%EOF\r?\n$/.test(text.slice(b + c - 9, b + c)), 'byte range')
    const gap = text.slice(a, b)
    need(/^<([0-9a-f][0-9a-f])*>$/.test(gap), 'gap is not one lower-case hex string')
    const contents = Buffer.from(gap.slice(1, -1), 'hex')
    const end = node(contents).end
    need(contents.subarray(end).every(x => x === 0), 'padding is not zeros')
    const encoding = [...text.slice(before, a).matchAll(/\/SubFilter\s*\/([!-.0-~]+)/g)]
    need(encoding.length === 1, 'encoding')
    out.push({ encoding: encoding[0][1], signed: Buffer.concat([pdf.subarray(0, a), pdf.subarray(b, b + c)]), contents: contents.subarray(0, end) })
    before = b + c
  }
  need(out.length > 0 && before === pdf.length, 'byte range does not cover the file')
  return out
}

// allSigned refuses a form with a field that waits for its signature.
function allSigned (pdf, n) {
  const fields = [...pdf.toString('latin1').matchAll(/\/Fields \[((?:\d+ 0 R ?)+)\]/g)]
  need(fields.length === 1 && fields[0][1].split('R').length - 1 === n, 'fields')
}

function attachment (pdf, name) {
  const text = pdf.toString('latin1')
  const spec = [...text.matchAll(new RegExp('/Filespec /F \\(' + name + '\\)[^\\n]*/EF <</F (\\d+) 0 R>>', 'g'))]
  need(spec.length === 1, 'attachment')
  const head = [...text.matchAll(new RegExp('\\n' + spec[0][1] + ' 0 obj\\n<<[^\\n]*/Length (\\d+)>>\\nstream\\n', 'g'))]
  need(head.length === 1, 'attached stream')
  const start = head[0].index + head[0][0].length
  try {
    return zlib.inflateSync(pdf.subarray(start, start + Number(head[0][1])))
  } catch (e) {
    throw new Unreadable('attached stream does not inflate')
  }
}

// cbor reads one CBOR item with the shortest length; maps but the empty one are none of the message's frame.
function cbor (data, at = 0) {
  need(at < data.length, 'CBOR ends early')
  const major = data[at] >> 5
  let info = data[at] & 31
  at++
  if (info >= 24) {
    need(info <= 25, 'CBOR length form')
    const n = info - 23
    const low = n === 1 ? 24 : 256
    need(at + n <= data.length, 'CBOR ends early')
    info = data.readUIntBE(at, n)
    at += n
    need(info >= low, 'CBOR length is not the shortest')
  }
  if (major === 2) {
    need(at + info <= data.length, 'CBOR ends early')
    return { value: data.subarray(at, at + info), end: at + info }
  }
  need((major === 4 && info <= 4) || (major === 5 && info === 0) || (major === 6 && info === 18), 'CBOR type')
  const items = []
  for (let i = 0; i < (major === 6 ? 1 : info); i++) {
    items.push(cbor(data, at))
    at = items[i].end
  }
  return { value: items.map(i => i.value), end: at, major }
}

const head = n => Buffer.from(n < 24 ? [0x40 | n] : n < 256 ? [0x58, n] : [0x59, n >> 8, n & 255])

function qr (message, certificate) {
  const item = cbor(message)
  need(item.major === 6 && item.end === message.length && item.value[0].length === 4, 'QR message')
  const [protectedHeader, unprotected, payload, signature] = item.value[0]
  need(Array.isArray(unprotected) && unprotected.length === 0 && message[message.indexOf(protectedHeader) + protectedHeader.length] === 0xa0, 'QR header')
  need(hex(protectedHeader) === 'a2013a000100000448' + hex(sm3(certificate).subarray(0, 8)) && signature.length === 64, 'QR header')
  const signed = Buffer.concat([Buffer.from('\x84\x6aSignature1', 'latin1'),
    ...[protectedHeader, Buffer.alloc(0), payload].flatMap(x => [head(x.length), x])])
  return sm2.doVerifySignature(Array.from(signed), hex(signature), publicKey(certificate), { hash: true, userId: '1234567812345678' })
}

// qrText gives the bytes behind the digits: 17 digits for 7 bytes.
function qrText (text) {
  const m = /^HTTPS?:\/\/[-A-Z0-9.:]+\/V#([0-9]+)$/.exec(text)
  need(m, 'QR text')
  const tails = { 3: 1, 5: 2, 8: 3, 10: 4, 13: 5, 15: 6, 17: 7 }
  const groups = m[1].match(/[0-9]{1,17}/g).map(group => {
    const size = tails[group.length]
    need(size && BigInt(group) < 256n ** BigInt(size), 'QR digits')
    return Buffer.from(BigInt(group).toString(16).padStart(2 * size, '0'), 'hex')
  })
  return Buffer.concat(groups)
}

// judged is the verdict of one part: whatever a reader of ours stumbles over is unreadable.
function judged (f) {
  try {
    return f() ? 'good' : 'bad'
  } catch (e) {
    if (e instanceof Unreadable || e instanceof TypeError || e instanceof RangeError) return 'unreadable'
    throw e
  }
}

function judgeSES (pdf, signed, contents) {
  const [tbs, cert, alg, value, token] = whole(contents, [0x30, 4, 6, 3, 0xa0], 1)
  need(isOID(alg, OID.sm2), 'signature algorithm')
  const [version, eseal, , dataHash] = whole(tbs.raw, [2, 0x30, 0x18, 3, 0x16, 0xa0], 1)
  need(['04', '05'].includes(hex(version.value)) && bits(dataHash).length === 32, 'TBS_Sign')
  let stamp = null
  if (token) {
    need(node(token.value).end === token.value.length, 'timeStamp')
    stamp = bits(node(token.value))
  }
  return {
    document: judged(() => same(bits(dataHash), sm3(signed))),
    seal: judged(() => { const s = seal(eseal.raw); return s.good && lists(s, cert.value) }),
    seal_signature: judged(() => verifies(cert.value, tbs.raw, bits(value))),
    timestamp: stamp ? judged(() => timestamp(stamp, bits(value))) : 'absent',
    qr: judged(() => qr(attachment(pdf, 'qr.cbor'), attachment(pdf, 'qr-signer.cer'))),
  }
}

// judgeOther judges a seal signature of another maker: its value and the seal's count as one.
function judgeOther (signed, contents) {
  const v = judgeSES(Buffer.alloc(0), signed, contents)
  return { document: v.document, signature: ['unreadable', 'bad', 'good'].find(w => v.seal === w || v.seal_signature === w) }
}

// judgeLicence: the last signature is a seal; before it stand co-seals, numbered from 1, and first of all perhaps one without SM2.
function judgeLicence (pdf) {
  const found = containers(pdf)
  allSigned(pdf, found.length)
  const verdicts = {}
  let n = 0
  found.forEach(({ encoding, signed, contents }, i) => {
    if (i === 0 && found.length > 1 && encoding === 'ETSI.CAdES.detached') {
      verdicts.pades = judged(() => pades(contents, signed))
      return
    }
    need(encoding === 'GM.sm2seal', 'encoding')
    const v = judgeSES(pdf, signed, contents)
    if (i === found.length - 1) return Object.assign(verdicts, v)
    n++
    for (const part of ['document', 'seal', 'seal_signature', 'timestamp']) verdicts[n + '.' + part] = v[part]
  })
  return verdicts
}

function judgePDF (pdf, kind) {
  if (kind === 'pdf') return judgeLicence(pdf)
  const found = containers(pdf)
  need(found.length === 1, 'signatures')
  const { signed, contents } = found[0]
  if (kind === 'ses') return judgeOther(signed, contents)
  const verdict = cms(contents, signed)
  return { document: judged(() => verdict.document), signature: judged(() => verdict.signature) }
}

const PARTS = { pdf: ['document', 'seal', 'seal_signature', 'timestamp', 'qr'], cms: ['document', 'signature'], ses: ['document', 'signature'], esl: ['seal'], qr: ['qr'] }

function judge (name) {
  const data = fs.readFileSync(name)
  const kind = path.extname(name).slice(1)
  let verdicts
  const readable = judged(() => {
    if (kind === 'esl') {
      verdicts = { seal: judged(() => seal(data).good) }
    } else if (kind === 'qr') {
      const [text, certificate] = data.toString().split('\n')
      verdicts = { qr: judged(() => qr(qrText(text), Buffer.from(certificate, 'hex'))) }
    } else {
      verdicts = judgePDF(data, kind)
    }
    return true
  })
  return readable === 'good' ? verdicts : Object.fromEntries(PARTS[kind].map(p => [p, 'unreadable']))
}

for (const name of fs.readFileSync(0, 'utf8').split('\n').filter(n => n)) {
  const verdicts = Object.entries(judge(name)).map(([part, verdict]) => part + '=' + verdict)
  console.log([path.basename(name), ...verdicts].join(' '))
}
