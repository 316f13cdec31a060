import { createTransport } from 'nodemailer';
import type { DeliveryOutcome } from '../sends/providers/provider';

/** A mail in plain text. */
export interface Mail {
  subject: string;
  text: string;
  /** What it is told apart by: the same in every attempt to send it. Visible ASCII. */
  id: string;
}

/** Sends mails to the administrators. */
export interface AdminMail {
  readonly recipients: readonly string[];
  /** Makes one attempt. Never throws for anything that the server does: that is an outcome. */
  send(mail: Mail): Promise<DeliveryOutcome>;
  close(): void;
}

/** How long the server may take for each step, in milliseconds. */
const STEP_MS = 10_000;
/** As much of what the server says is kept, in characters. */
const KEPT_WORDS_CHARACTERS = 1_000;

/**
 * Makes what sends mails, by a server for SMTP (RFC 5321).
 * @param deps.url smtp://, or smtps:// for TLS from the start; with user and password where the server asks for them
 */
export function createAdminMail(deps: { url: string; from: string; to: readonly string[] }): AdminMail {
  const { url, from, to } = deps;
  const { hostname } = new URL(url);
  const transport = createTransport({
    url,
    connectionTimeout: STEP_MS,
    greetingTimeout: STEP_MS,
    socketTimeout: STEP_MS,
    dnsTimeout: STEP_MS,
    // Nothing in a mail is ever fetched from anywhere.
    disableFileAccess: true,
    disableUrlAccess: true,
  });

  return {
    recipients: to,
    async send({ subject, text, id }) {
      try {
        const { response, rejected } = await transport.sendMail({
          from,
          to: [...to],
          subject: oneLine(subject),
          text,
          messageId: `<${id}@${domainOf(from)}>`,
          // That nobody's absence is answered (RFC 3834, section 5).
          headers: { 'Auto-Submitted': 'auto-generated' },
        });
        const words = response.slice(0, KEPT_WORDS_CHARACTERS);
        const left = rejected.length === 0 ? '' : `; refused for ${rejected.length} of ${to.length} recipients`;
        return { kind: 'sent', reference: null, response: { status: null, body: words + left } };
      } catch (error) {
        const { message, responseCode } = error as Error & { responseCode?: number };
        const words = `${hostname}: ${oneLine(message).slice(0, KEPT_WORDS_CHARACTERS)}`;
        // 5yz is for good (RFC 5321, section 4.2.1), but an administrator mends it: it is tried again as all the rest.
        const response = responseCode === undefined ? null : { status: null, body: String(responseCode) };
        return { kind: 'retry', error: words, response, retryAfterMs: null };
      }
    },
    close: () => transport.close(),
  };
}

/** A text that cannot begin another header, or be mistaken for another line. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function domainOf(from: string): string {
  return /@([^\s<>@]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
}
