import { z } from 'zod';
import { readVonageReceipt } from '../../sends/providers/vonage-receipt';
import { type VonageSignatureMethod, vonageSignatureFault } from '../../sends/providers/vonage-signature';
import type { RecordReceipt } from '../../sends/receipts';
import { type Reply, type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { invalidInput, problem, withHeaders } from '../problem';

/** A receipt has some two hundred bytes. */
const BODY_MAX_BYTES = 65_536;

/** What receipts of Vonage are taken with. */
export interface VonageReceipts {
  record: RecordReceipt;
  /** What they are signed with; null: they are believed as they come. */
  signature: { secret: string; method: VonageSignatureMethod; maxAgeMs: number } | null;
}

const text = (description: string) => z.unknown().optional().describe(description).meta({ type: 'string' });

/** Looked at in the handler, which must see who sends it first. What else there is is signed too. */
const receiptSchema = z.looseObject({
  messageId: text("Vonage's id of the message, or of one part of it."),
  status: text('accepted, buffered, delivered, expired, failed, rejected, undelivered or unknown.'),
  'err-code': text('Why it was not delivered.'),
  sig: text('The signature.'),
  timestamp: text('When it was signed, in seconds since 1970.'),
  nonce: text('A random text that is signed along.'),
});

const DESCRIPTION =
  'For the address of delivery receipts in the account at Vonage, by POST (a form or JSON) or GET. The message that it is about becomes `DELIVERED` or `UNDELIVERABLE`; late, repeated and out-of-order receipts change nothing, and one about a message that is not known is taken and counted. With SENDGATE_VONAGE_SIGNATURE_SECRET it must be signed: https://developer.vonage.com/en/getting-started/concepts/signing-messages';

/** The routes that providers say at what became of messages. They need no key: the provider has none. */
export function receiptRoutes(services: {
  /** Null where Vonage is not configured. */
  vonageReceipts: VonageReceipts | null;
  nowMs: () => number;
}): Route[] {
  const replies: Route['replies'] = {
    200: {
      description: 'Taken. Or there was no receipt: Vonage asks without one whether anybody answers.',
      schema: z.object({ received: z.boolean() }),
    },
    401: { description: 'It is not signed, or wrongly, or too long ago.', schema: problemSchema },
    404: { description: 'Vonage is not configured here.', schema: problemSchema },
    503: { description: 'Redis does not answer: Vonage says it again.', schema: problemSchema },
  };

  async function take(given: Readonly<Record<string, unknown>>): Promise<Reply> {
    const { vonageReceipts, nowMs } = services;
    if (vonageReceipts === null) return problem(404, 'Not found', 'The provider vonage is not configured here.');
    const { signature, record } = vonageReceipts;
    const { params, wrong } = textsOf(given);
    if (signature !== null) {
      const fault = wrong === null ? vonageSignatureFault(params, signature, nowMs()) : 'wrong';
      if (fault !== null) return unauthorized(SIGNATURE_WORDS[fault]);
    }
    if (wrong !== null) return invalidInput([{ path: wrong, message: 'must be a string' }]);
    const read = readVonageReceipt(params);
    if ('wrong' in read) return invalidInput([{ path: read.wrong, message: wordsOf(read.wrong, params) }]);
    await record(read.receipt);
    // The same whatever it came to: nobody learns here which messages there are.
    return { status: 200, body: { received: true } };
  }

  return [
    route({
      method: 'post',
      path: '/providers/vonage/receipts',
      operationId: 'vonageReceipt',
      tag: 'Receipts',
      summary: 'What became of an SMS, as Vonage says',
      description: DESCRIPTION,
      role: null,
      query: receiptSchema,
      body: receiptSchema.optional(),
      bodyMaxBytes: BODY_MAX_BYTES,
      bodyForms: true,
      bodyExample: {
        messageId: '0A0000001234567B',
        status: 'delivered',
        'err-code': '0',
        msisdn: '447700900000',
        to: 'AcmeInc',
        'network-code': '12345',
        price: '0.03330000',
        scts: '2001011400',
        'message-timestamp': '2020-01-01 14:00:00',
      },
      replies,
      handle: ({ body, query }) => take(body ?? query),
    }),
    route({
      method: 'get',
      path: '/providers/vonage/receipts',
      operationId: 'vonageReceiptByQuery',
      tag: 'Receipts',
      summary: 'The same, by GET',
      description: DESCRIPTION,
      role: null,
      query: receiptSchema,
      replies,
      async handle({ query }) {
        // So the dashboard of Vonage looks whether an address is one, before it keeps it.
        if (services.vonageReceipts !== null && Object.keys(query).length === 0) {
          return { status: 200, body: { received: false } };
        }
        return take(query);
      },
    }),
  ];
}

const SIGNATURE_WORDS = {
  missing:
    'It has to be signed, with the parameters sig and timestamp. The account at Vonage has to sign its webhooks.',
  wrong: 'The signature is wrong: compare the secret and the method here with those of the account at Vonage.',
  old: 'It was signed too long ago, or in the future: what was taken once is not taken again.',
};

function unauthorized(detail: string): Reply {
  return withHeaders(problem(401, 'Unauthorized', detail), { 'www-authenticate': 'Signature realm="vonage"' });
}

/** The parameters as texts, as they are signed; `wrong` names one that is none. */
function textsOf(given: Readonly<Record<string, unknown>>): { params: Record<string, string>; wrong: string | null } {
  const params: Record<string, string> = Object.create(null);
  let wrong: string | null = null;
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') params[name] = value;
    else if (typeof value === 'number' || typeof value === 'boolean') params[name] = `${value}`;
    else if (value !== null && value !== undefined) wrong ??= name;
  }
  return { params, wrong };
}

function wordsOf(name: 'messageId' | 'status', params: Readonly<Record<string, string>>): string {
  if (params[name] === undefined) return 'is missing: must be a string';
  return name === 'messageId' ? 'must be 1 to 100 visible characters of ASCII' : 'must be a word of at most 30 letters';
}
