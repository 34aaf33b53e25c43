// Begins the setup of an authenticator app and prints the answer.

import { MfaClient } from './mfa-client.mjs';

// All that is used of Node, so that the compiler needs no type package.
declare const process: {
  env: Record<string, string | undefined>;
  exitCode?: number;
};

/** fetch itself says only "fetch failed" and keeps the reason in cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const cause = error.cause as { message?: string; code?: string } | undefined;
  return cause?.message || cause?.code || error.message;
}

try {
  const token = process.env['MFA_TOKEN'];
  if (!token) {
    throw new Error('MFA_TOKEN is not set: it holds your access token');
  }
  const client = new MfaClient(process.env['MFA_URL'] ?? 'http://localhost:8080', token);
  const answer = await client.setupAuthenticator({
    email: 'user@example.com',
    deviceInfo: { name: 'iPhone 12', type: 'mobile' },
  });
  console.log(JSON.stringify(answer, null, 2));
} catch (error) {
  console.error(`MFA setup failed: ${reason(error)}`);
  process.exitCode = 1;
}
