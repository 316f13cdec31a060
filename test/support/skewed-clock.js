// Loaded before everything else (node --require): the process believes another time of day, by SKEW_MS milliseconds.
const skewMs = Number(process.env.SKEW_MS);
const RealDate = Date;
const now = () => RealDate.now() + skewMs;
globalThis.Date = class SkewedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now = now;
};
