// Two Bitcoin nodes in one process, in regtest: one with a wallet, which is asked over JSON-RPC as Bitcoin Core is, and for
// each reorganisation another one that mines a longer chain. Blocks are kept in a file, so that a killed node comes back with
// its chain, and without its mempool. Every block, script, signature and reorganisation is bcoin's own; what is here is
// Core's spelling of questions and answers, and the faults of an unreliable line.
//
// usage: nodes.cjs BCOIN FOLDER PORT    prints one line of JSON once it listens
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');
const crypto = require('crypto');

const [bcoinAt, folder, port] = process.argv.slice(2);
const bcoin = require(bcoinAt);
const NodeClient = require(path.join(bcoinAt, 'lib/wallet/nodeclient'));
const { Block, FullNode, HDPrivateKey, KeyRing, MTX, TX, WalletDB } = bcoin;
const log = path.join(folder, 'blocks');
const cookieFile = path.join(folder, '.cookie');
const cookie = `__cookie__:${crypto.randomBytes(16).toString('hex')}`;
const elsewhere = KeyRing.fromPrivate(Buffer.alloc(32, 7), true).getAddress();

class RpcError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

let node, wdb, wallet;
let faults = [];
let warming = false;
let asked = {};

const makeNode = () => new FullNode({
  memory: true, network: 'regtest', listen: false, noDns: true, httpPort: 0, workers: false, logConsole: false,
  replaceByFee: true,
});

// The wallet hears of blocks a moment after the chain.
async function walletFollows() {
  while (wdb.state.height !== node.chain.height)
    await new Promise(resolve => setTimeout(resolve, 1));
}

async function keep(block) {
  const raw = block.toRaw();
  const size = Buffer.alloc(4);
  size.writeUInt32LE(raw.length);
  fs.appendFileSync(log, Buffer.concat([size, raw]));
  await node.chain.add(block);
}

async function mine(count, address) {
  for (let at = 0; at < count; at++) {
    await keep(await node.miner.mineBlock(null, address || elsewhere));
  }
  await walletFollows();
}

// A node that knows all but the last blocks mines one more than those, and shows them.
async function reorganise(depth) {
  const other = makeNode();
  await other.open();
  const fork = node.chain.height - depth;
  for (let height = 1; height <= fork; height++)
    await other.chain.add(await node.getBlock(height));
  const found = [];
  for (let at = 0; at <= depth; at++) {
    const block = await other.miner.mineBlock(null, elsewhere);
    await other.chain.add(block);
    found.push(block);
  }
  await other.close();
  for (const block of found)
    await keep(Block.fromRaw(block.toRaw()));
  await walletFollows();
}

async function coins() {
  const height = node.chain.height;
  const found = [];
  for (const coin of await wallet.getCoins()) {
    const confirmations = coin.height === -1 ? 0 : height - coin.height + 1;
    if (coin.coinbase && confirmations < 101)
      continue;
    if (node.mempool.isSpent(coin.hash, coin.index))
      continue;
    found.push({ coin, confirmations });
  }
  return found;
}

async function send(hex, most) {
  const tx = TX.fromRaw(Buffer.from(hex, 'hex'));
  for (let index = 0; index < tx.outputs.length; index++) {
    if (await node.chain.getCoin(tx.hash('hex'), index))
      throw new RpcError(-27, 'Transaction outputs already in utxo set');
  }
  if (node.mempool.hasEntry(tx.hash('hex')))
    return tx.txid();
  let entered = 0;
  for (const { prevout } of tx.inputs) {
    const coin = await node.chain.getCoin(prevout.hash, prevout.index) || node.mempool.getCoin(prevout.hash, prevout.index);
    if (!coin)
      throw new RpcError(-25, 'bad-txns-inputs-missingorspent');
    entered += coin.value;
  }
  const fee = entered - tx.getOutputValue();
  const size = tx.getVirtualSize();
  if (most > 0 && fee > most * 1e8 * size / 1000)
    throw new RpcError(-25, 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)');
  // BIP 125, which bcoin leaves to others: more than all that are replaced, by what relaying costs.
  const replaced = new Set();
  for (const { prevout } of tx.inputs) {
    const spent = node.mempool.getSpent(prevout.hash, prevout.index);
    if (spent)
      replaced.add(spent);
  }
  for (const entry of replaced) {
    if (!entry.tx.inputs.some(input => input.sequence < 0xfffffffe))
      throw new RpcError(-26, 'txn-mempool-conflict');
    if (fee < entry.fee + size)
      throw new RpcError(-26, `insufficient fee, rejecting replacement ${tx.txid()}`);
  }
  if (fee < node.mempool.options.minRelay * size / 1000)
    throw new RpcError(-26, `min relay fee not met, ${fee} < ${Math.ceil(node.mempool.options.minRelay * size / 1000)}`);
  for (const entry of replaced)
    node.mempool.evictEntry(entry);
  try {
    const missing = await node.mempool.addTX(tx);
    if (missing)
      throw new RpcError(-25, 'bad-txns-inputs-missingorspent');
  } catch (error) {
    if (error.type !== 'VerifyError')
      throw error;
    throw new RpcError(-26, error.reason);
  }
  return tx.txid();
}

async function sign(hex) {
  const mtx = MTX.fromRaw(Buffer.from(hex, 'hex'));
  for (const { prevout } of mtx.inputs) {
    const coin = await node.chain.getCoin(prevout.hash, prevout.index);
    if (coin)
      mtx.view.addCoin(coin);
  }
  await wallet.sign(mtx);
  return { hex: mtx.toRaw().toString('hex'), complete: mtx.isSigned() && mtx.verify() };
}

const plain = ['getblockchaininfo', 'getblockhash', 'getblockheader', 'getblock'];

async function answer(method, params) {
  if (warming)
    throw new RpcError(-28, 'Loading block index...');
  if (plain.includes(method)) {
    if (method === 'getblock' && params.length > 1)
      params = [params[0], params[1] > 0];
    const told = await node.rpc.execute({ method, params }).catch((error) => {
      throw new RpcError(error.code || -1, error.message);
    });
    return told;
  }
  switch (method) {
    case 'estimatesmartfee':
      return { errors: ['Insufficient data or no feerate found'], blocks: params[0] };
    case 'listunspent':
      return (await coins()).filter(({ confirmations }) => confirmations >= params[0]).map(({ coin, confirmations }) => ({
        txid: coin.txid(), vout: coin.index, scriptPubKey: coin.script.toRaw().toString('hex'),
        amount: coin.value / 1e8, confirmations, spendable: true, solvable: true, safe: true,
      }));
    case 'signrawtransactionwithwallet':
      return sign(params[0]);
    case 'sendrawtransaction':
      return send(params[0], params[1]);
    default:
      throw new RpcError(-32601, 'Method not found');
  }
}

// What the test orders. None of it is known to a client.
const orders = {
  async mine({ count }) { await mine(count); },
  async reorg({ depth }) { await reorganise(depth); },
  // As a node whose mempool is full, or that was away: it forgets, and others mine without it.
  async forget({ count }) {
    for (let at = 0; at < count; at++) {
      await node.mempool.reset();
      await mine(1);
    }
  },
  async fee({ rate }) { node.mempool.options.minRelay = rate; },
  async warm() { warming = true; },
  async fault(fault) { faults.push(fault); },
  async heal() { faults = []; warming = false; },
  // All of the wallet goes elsewhere, under whatever was in the mempool.
  async spend() {
    await node.mempool.reset();
    const mtx = new MTX();
    // By the chain alone: the wallet holds what its own unmined transactions spend for gone.
    for (let height = 1; height <= node.chain.height; height++) {
      for (const tx of (await node.getBlock(height)).txs) {
        for (let index = 0; index < tx.outputs.length; index++) {
          const coin = await node.chain.getCoin(tx.hash('hex'), index);
          const young = coin && coin.coinbase && node.chain.height - coin.height < 100;
          if (coin && !young && coin.getAddress() && await wallet.hasPath(coin.getAddress()))
            mtx.addCoin(coin);
        }
      }
    }
    mtx.addOutput(elsewhere, mtx.getInputValue() - 10000);
    await wallet.sign(mtx);
    await send(mtx.toTX().toRaw().toString('hex'), 0);
    await mine(1);
  },
  async fund() {
    await mine(1, await wallet.receiveAddress());
    await mine(101);
  },
  // How often a payload stands in the best chain.
  async count({ payload }) {
    const wanted = Buffer.concat([Buffer.from([0x6a, payload.length / 2]), Buffer.from(payload, 'hex')]);
    let count = 0;
    for (let height = 1; height <= node.chain.height; height++) {
      for (const tx of (await node.getBlock(height)).txs)
        count += tx.outputs.filter(output => output.script.toRaw().equals(wanted)).length;
    }
    return { count };
  },
};

function status() {
  const fees = [...node.mempool.map.values()].map(entry => entry.fee);
  return { height: node.chain.height, tip: node.chain.tip.rhash(), fees, asked };
}

const body = request => new Promise((resolve, reject) => {
  const parts = [];
  request.on('data', part => parts.push(part)).on('error', reject);
  request.on('end', () => resolve(Buffer.concat(parts).toString()));
});

function takeFault(method) {
  const at = faults.findIndex(fault => fault.method === method || fault.method === '*');
  if (at < 0)
    return {};
  const fault = faults[at];
  fault.count = (fault.count || 1) - 1;
  if (fault.count <= 0)
    faults.splice(at, 1);
  return fault;
}

async function serve(request, response) {
  const end = (code, value) => {
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(value === undefined ? '' : JSON.stringify(value));
  };
  const text = await body(request);
  if (request.url === '/control') {
    const { order, ...what } = JSON.parse(text);
    const told = await orders[order](what);
    return end(200, { ...status(), ...told });
  }
  if (request.headers.authorization !== `Basic ${Buffer.from(cookie).toString('base64')}`)
    return end(401);
  const { id, method, params } = JSON.parse(text);
  asked[method] = (asked[method] || 0) + 1;
  const fault = takeFault(method);
  if (fault.die === 'before')
    process.kill(process.pid, 'SIGKILL');
  let told, error = null;
  try {
    if (fault.error && !fault.after)
      throw new RpcError(fault.error.code, fault.error.message);
    told = await answer(method, params);
    if (fault.twice)
      told = await answer(method, params);
    if (fault.error)
      throw new RpcError(fault.error.code, fault.error.message);
  } catch (caught) {
    if (!(caught instanceof RpcError))
      console.error(caught);
    error = { code: caught.code || -1, message: caught.message };
  }
  if (fault.die === 'after')
    process.kill(process.pid, 'SIGKILL');
  if (fault.drop)
    return request.socket.destroy();
  return end(error ? 500 : 200, { result: error ? null : told, error, id });
}

(async () => {
  node = makeNode();
  await node.open();
  wdb = new WalletDB({ network: node.network, memory: true, client: new NodeClient(node) });
  await wdb.open();
  const master = HDPrivateKey.fromSeed(Buffer.alloc(32, 5), 'regtest').toBase58('regtest');
  wallet = await wdb.create({ id: 'anchors', master });
  if (fs.existsSync(log)) {
    const all = fs.readFileSync(log);
    for (let at = 0; at + 4 <= all.length;) {
      const size = all.readUInt32LE(at);
      // The last one may have been cut off by a kill.
      if (at + 4 + size > all.length) {
        fs.truncateSync(log, at);
        break;
      }
      await node.chain.add(Block.fromRaw(all.slice(at + 4, at + 4 + size)));
      at += 4 + size;
    }
    await walletFollows();
  } else {
    for (let at = 0; at < 4; at++)
      await mine(1, await wallet.receiveAddress());
    await mine(104);
  }
  fs.writeFileSync(cookieFile, cookie, { mode: 0o600 });
  const server = http.createServer((request, response) => {
    serve(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  // A connection that waits for a slow order is not the next one's that ends.
  server.keepAliveTimeout = 0;
  server.listen(Number(port), '127.0.0.1', () => {
    const { port } = server.address();
    console.log(JSON.stringify({ listening: `http://127.0.0.1:${port}`, cookie: cookieFile, ...status() }));
  });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
