// Loaded into every measured server before its own code (node --require): answers how much CPU time the process has
// used, and ends it when whoever measures is gone. process.cpuUsage() knows microseconds, and counts all threads.
process.on('message', (question) => {
  if (question === 'cpu') process.send({ cpu: process.cpuUsage() });
});
process.on('disconnect', () => process.exit());
