// node.js - one case of the kit with an independent stack: @grpc/grpc-js, and stubs made of what reflection says.
// usage: node node.js HOST:PORT CASE; exit code 0: passed, else the reason is on stderr. NODE_PATH names the packages.
'use strict';
const assert = require('assert');
const grpc = require('@grpc/grpc-js');
const { GrpcReflection } = require('grpc-js-reflection-client');

const SERVICE = 'inference.GRPCInferenceService';
const A = [...Array(16).keys()], B = Array(16).fill(1);
const SUM = A.map(a => a + 1), DIFFERENCE = A.map(a => a - 1);
const raw = values => Buffer.from(Int32Array.from(values).buffer);

async function connect(address, version) {
  const reflection = new GrpcReflection(address, grpc.credentials.createInsecure(), {}, version);
  const descriptor = await reflection.getDescriptorBySymbol(SERVICE);
  const { inference } = descriptor.getPackageObject({ keepCase: true, longs: Number, defaults: true });
  return new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());
}

function call(client, method, request) {
  const deadline = Date.now() + 10000;
  return new Promise((resolve, reject) =>
    client[method](request, { deadline }, (problem, answer) => problem ? reject(problem) : resolve(answer)));
}

function simple(id) {
  const input = (name, values) => ({ name, datatype: 'INT32', shape: [1, 16], contents: { int_contents: values } });
  return { model_name: 'simple', id, inputs: [input('INPUT0', A), input('INPUT1', B)] };
}

function check(answer) {
  assert.deepStrictEqual(answer.outputs.map(output => output.name), ['OUTPUT0', 'OUTPUT1']);
  assert.deepStrictEqual(answer.raw_output_contents, [raw(SUM), raw(DIFFERENCE)]);
}

// The fields of the ORCA report in the trailers, all doubles, by their numbers; undefined: there is none. (Clients of the C
// core take it out of the trailers for their balancers.)
function loadReport(client, asked) {
  const metadata = new grpc.Metadata();
  if (asked)
    metadata.set('endpoint-load-metrics-format', 'bin');
  return new Promise((resolve, reject) => {
    const made = client.ModelInfer(simple('1'), metadata, problem => problem && reject(problem));
    made.on('status', status => {
      const [raw] = status.metadata.get('endpoint-load-metrics-bin');
      const fields = {};
      for (let at = 0; raw && at < raw.length; at += 9) {
        assert.strictEqual(raw[at] & 7, 1);
        fields[raw[at] >> 3] = raw.readDoubleLE(at + 1);
      }
      resolve(raw && fields);
    });
  });
}

const cases = {
  async list(address) {
    const reflection = new GrpcReflection(address, grpc.credentials.createInsecure());
    const services = await reflection.listServices();
    for (const name of [SERVICE, 'grpc.health.v1.Health'])
      assert(services.includes(name), `${name} is not among ${services}`);
    const methods = (await reflection.listMethods(SERVICE)).map(method => method.name);
    for (const name of ['ServerLive', 'ModelInfer', 'ModelStreamInfer', 'RepositoryIndex'])
      assert(methods.includes(name), `${name} is not among ${methods}`);
  },
  async infer(address) { check(await call(await connect(address, 'v1'), 'ModelInfer', simple('1'))); },
  async infer_v1alpha(address) { check(await call(await connect(address, 'v1alpha'), 'ModelInfer', simple('1'))); },
  async error(address) {
    const client = await connect(address, 'v1');
    await assert.rejects(call(client, 'ModelInfer', { model_name: 'nosuch' }), { code: grpc.status.NOT_FOUND });
  },
  async load_report(address) {
    const client = await connect(address, 'v1'), deadline = Date.now() + 10000;
    assert.strictEqual(await loadReport(client, false), undefined);
    let report = await loadReport(client, true);
    assert(report, 'no endpoint-load-metrics-bin in the trailers');
    while (!report[1] || !report[6]) { // of the last second
      assert(Date.now() < deadline, `no processor time or no calls in ${JSON.stringify(report)}`);
      report = await loadReport(client, true);
    }
    assert(report[1] <= 1.01 && report[2] < 1 && report[9] > 0 && report[9] <= 1, JSON.stringify(report));
  },
  async stream(address) {
    const stream = (await connect(address, 'v1')).ModelStreamInfer({ deadline: Date.now() + 10000 }), ids = [];
    for (let i = 0; i < 16; i++)
      stream.write(simple(String(i)));
    stream.end();
    for await (const answer of stream) {
      assert.strictEqual(answer.error_message, '');
      check(answer.infer_response);
      ids.push(answer.infer_response.id);
    }
    assert.deepStrictEqual(ids, [...Array(16).keys()].map(String));
  },
};

cases[process.argv[3]](process.argv[2]).then(() => process.exit(0),
                                              problem => { console.error(problem.message); process.exit(1); });
