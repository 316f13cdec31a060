// The same with Express: `node express.mjs` reads the body with express.json(), `node express.mjs own-body` without.
import express from 'express';

const app = express();
if (process.argv[2] === 'own-body') {
  app.use((request, _response, next) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      request.body = JSON.parse(Buffer.concat(chunks));
      next();
    });
  });
} else {
  app.use(express.json());
}
app.post('/check', (request, response) => {
  response.json({ allowed: request.body !== null });
});
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
