import type { ProviderCode } from './provider';

/**
 * What a refusal is about, and so what becomes of the message:
 * - `retry`: it is tried again, with backoff;
 * - `account`: no message of this account would be taken, so the provider is stopped and the message waits;
 * - `request`, `recipient`: this message will never be taken.
 */
export type VonageCodeKind = 'retry' | 'account' | 'request' | 'recipient';

/** What a status of Vonage's SMS API other than 0 says. */
export interface VonageCode extends ProviderCode {
  kind: VonageCodeKind;
  /** What Vonage calls it. */
  name: string;
}

type Row = [kind: VonageCodeKind, name: string, meaning: string, whatToDo: string];

const WAITS = 'Nothing while it is tried again.';
const RESEND = 'To send all of it again: POST /messages/{id}/retry.';
const CHECK_NUMBER = "Check the recipient's number, or stop sending to it.";

/** https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms#sms-api-error-codes */
const ROWS: Record<string, Row> = {
  1: [
    'retry',
    'Throttled',
    'More messages a second were sent than the account may.',
    `${WAITS} When it is frequent, set SENDGATE_VONAGE_RATE to what the account may, and look for others that use its key.`,
  ],
  2: [
    'request',
    'Missing Parameters',
    'The request lacked something that Vonage needs.',
    'Look at what Vonage says is missing: the text, the number of the recipient, or SENDGATE_VONAGE_FROM.',
  ],
  3: [
    'request',
    'Invalid Parameters',
    'Something in the request has a value that Vonage does not take.',
    'Look at what Vonage says is wrong: mostly the number of the recipient, or SENDGATE_VONAGE_FROM.',
  ],
  4: [
    'account',
    'Invalid Credentials',
    'The API key or its secret is wrong, or has been disabled.',
    'Compare SENDGATE_VONAGE_API_KEY and SENDGATE_VONAGE_API_SECRET with the dashboard of Vonage.',
  ],
  5: [
    'retry',
    'Internal Error',
    'Vonage had a fault of its own.',
    `${WAITS} When it lasts, ask the support of Vonage.`,
  ],
  6: ['recipient', 'Invalid Message', 'Vonage cannot send to this number, as with an unknown prefix.', CHECK_NUMBER],
  7: [
    'recipient',
    'Number Barred',
    'The number is on the list of those that get no messages.',
    'Stop sending to it, or ask the support of Vonage why it is barred.',
  ],
  8: ['account', 'Partner Account Barred', 'The account is suspended.', 'Ask the support of Vonage.'],
  9: [
    'account',
    'Partner Quota Violation',
    'The account has not enough credit.',
    'Top it up in the dashboard of Vonage, or let it do so by itself.',
  ],
  10: [
    'retry',
    'Too Many Existing Binds',
    'There are more connections to Vonage at once than the account may have.',
    `${WAITS} When it is frequent, lower SENDGATE_CONCURRENCY, or the number of workers.`,
  ],
  11: [
    'account',
    'Account Not Enabled For HTTP',
    'The account may not use the SMS API.',
    'Ask the support of Vonage to enable it.',
  ],
  12: ['request', 'Message Too Long', 'The text is longer than Vonage takes.', 'Send a shorter text.'],
  14: [
    'account',
    'Invalid Signature',
    'The account takes only signed requests, and this one was not, or not rightly.',
    'In the dashboard of Vonage, let the account take requests with its API secret.',
  ],
  15: [
    'request',
    'Invalid Sender Address',
    'The sender is not one that the account may use towards this number.',
    'Set SENDGATE_VONAGE_FROM to a number or name that the country of the recipient allows and the account has.',
  ],
  22: [
    'request',
    'Invalid Network Code',
    'The network is not known, or not one of the country of the recipient.',
    CHECK_NUMBER,
  ],
  23: [
    'request',
    'Invalid Callback URL',
    'The address for receipts is too long, or has characters that it must not have.',
    'Set it right in the dashboard of Vonage.',
  ],
  29: [
    'recipient',
    'Non-Whitelisted Destination',
    'The account is a trial, and the number is not among those that it may send to.',
    'Add the number to the test numbers in the dashboard of Vonage, or top up the account.',
  ],
  32: [
    'account',
    'Signature And API Secret Disallowed',
    'A request was signed and had the API secret at once, which the account does not take.',
    'In the dashboard of Vonage, let the account take requests with its API secret; look for a proxy that signs.',
  ],
  33: ['recipient', 'Number De-activated', 'The number is not in use any more.', 'Remove the number from the user.'],
};

/** The statuses that are known, other than 0. */
export const VONAGE_CODES: ReadonlyMap<string, VonageCode> = tableOf(ROWS);

/**
 * What a status other than 0 says. One that is not known is tried again: nothing has been sent with it, so that costs
 * nothing, and if it never passes the message is given up as after any other failure.
 */
export function vonageCode(status: string): VonageCode {
  return (
    VONAGE_CODES.get(status) ?? {
      kind: 'retry',
      code: status,
      name: 'unknown',
      meaning: 'This code is not known to Sendgate.',
      whatToDo: 'Look it up in the documentation of Vonage.',
    }
  );
}

/** The same of a message of which other parts were taken: it is not tried again, also where it would be otherwise. */
export function vonageCodeOfPart(status: string): VonageCode {
  const code = vonageCode(status);
  return code.kind === 'retry' ? { ...code, whatToDo: `${RESEND} ${code.whatToDo.replace(`${WAITS} `, '')}` } : code;
}

type ReceiptRow = [name: string, meaning: string, whatToDo: string];

const LATER = 'Send it again later: POST /messages/{id}/retry.';
const ASK = 'Ask the support of Vonage.';

/** https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts#dlr-error-codes */
const RECEIPT_ROWS: Record<string, ReceiptRow> = {
  1: ['Unknown', 'It was not delivered, and nobody says why.', LATER],
  2: ['Absent Subscriber - Temporary', 'The phone could not be reached.', LATER],
  3: ['Absent Subscriber - Permanent', 'The number is not in use any more.', 'Remove the number from the user.'],
  4: ['Call Barred by User', 'The recipient has barred such messages.', 'Stop sending to this number.'],
  5: ['Portability Error', 'The number was moved between networks, and did not arrive.', ASK],
  6: ['Anti-Spam Rejection', "A filter of the recipient's network took it for spam.", 'Change the text or the sender.'],
  7: ['Handset Busy', 'The phone was busy.', LATER],
  8: ['Network Error', "The recipient's network had a fault.", LATER],
  9: ['Illegal Number', 'The recipient does not want messages of this kind.', 'Stop sending to this number.'],
  10: ['Illegal Message', 'The message was not as the network takes it.', 'Change the text.'],
  11: ['Unroutable', 'Vonage knows no way to this number.', ASK],
  12: ['Destination Unreachable', 'There is no way to this number.', CHECK_NUMBER],
  13: ['Subscriber Age Restriction', 'The recipient may not get such messages for his age.', 'Stop sending it to him.'],
  14: ['Number Blocked by Carrier', "The recipient's network blocks messages to him.", 'Ask him to have SMS enabled.'],
  15: ['Prepaid Insufficient Funds', 'The recipient has no credit to get messages with.', LATER],
  99: ['General Error', 'Something was wrong on the way.', ASK],
};

/** The error codes of receipts that are known, other than 0. */
export const VONAGE_RECEIPT_CODES: ReadonlyMap<string, Omit<VonageCode, 'kind'>> = new Map(
  Object.entries(RECEIPT_ROWS).map(([code, [name, meaning, whatToDo]]) => [code, { code, name, meaning, whatToDo }]),
);

function tableOf(rows: Record<string, Row>): Map<string, VonageCode> {
  return new Map(
    Object.entries(rows).map(([code, [kind, name, meaning, whatToDo]]) => [
      code,
      { kind, code, name, meaning, whatToDo },
    ]),
  );
}
