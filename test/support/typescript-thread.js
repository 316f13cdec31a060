// The thread that reads limits files, from its source: Node itself runs only what has been built.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } };
require.extensions['.ts'] = (module, path) => {
  module._compile(transformSync(readFileSync(path, 'utf8'), options).code, path);
};
require(join(__dirname, '../../src/limits-file/parse-thread.ts'));
