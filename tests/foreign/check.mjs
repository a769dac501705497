// Every envelope of an export by Node's own Ed25519, and each refused when one byte of its payload changes.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const receipts = process.argv[2]
const key = hex => createPublicKey({
  key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(hex, 'hex')]), format: 'der', type: 'spki'
})
const pae = (type, payload) => Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload])
const must = (holds, what) => { if (!holds) { console.error(`node: ${what}`); process.exit(1) } }
const trust = JSON.parse(readFileSync(join(receipts, 'trust.json')))
const trusted = new Map(trust.keys.map(one => [one.keyid, one]))
let count = 0

for (const module of readdirSync(receipts, { withFileTypes: true }).filter(one => one.isDirectory())) {
  const folder = join(receipts, module.name)
  for (const name of readdirSync(folder).filter(name => name.endsWith('.intoto.json'))) {
    const envelope = JSON.parse(readFileSync(join(folder, name)))
    const payload = Buffer.from(envelope.payload, 'base64')
    for (const { keyid, sig } of envelope.signatures) {
      const signer = trusted.get(keyid)
      must(signer, `${name}: key ${keyid} is not in trust.json`)
      const described = `{"keytype":"ed25519","keyval":{"public":"${signer.public}"},"scheme":"ed25519"}`
      must(createHash('sha256').update(described).digest('hex') === keyid, `${name}: ${keyid} is not the key's id`)
      const signature = Buffer.from(sig, 'base64')
      must(verify(null, pae(envelope.payloadType, payload), key(signer.public), signature), `${name}: bad signature`)
      const changed = Buffer.from(payload)
      changed[changed.length >> 1] ^= 1
      must(!verify(null, pae(envelope.payloadType, changed), key(signer.public), signature), `${name}: a change passes`)
      count += 1
    }
  }
}
must(count > 0, 'nothing to check')
console.log(`node: ${count} signatures, and as many changed payloads refused`)
