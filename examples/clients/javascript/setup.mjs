// Begins the setup of an authenticator app and prints the answer.

const baseURL = process.env.MFA_URL ?? 'http://localhost:8080';
const token = process.env.MFA_TOKEN;

async function setup() {
  if (!token) {
    throw new Error('MFA_TOKEN is not set: it holds your access token');
  }

  const response = await fetch(new URL('/mfa/setup', baseURL), {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      Authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({
      mfaType: 'GOOGLE_AUTH',
      email: 'user@example.com',
      deviceInfo: { name: 'iPhone 12', type: 'mobile' },
    }),
    signal: AbortSignal.timeout(10_000),
  });

  if (response.status !== 200) {
    // A proxy in between may refuse with something other than JSON.
    const refusal = await response.json().catch(() => null);
    throw new Error(refusal?.error ?? `the server answered ${response.status}`);
  }
  return response.json();
}

try {
  console.log(JSON.stringify(await setup(), null, 2));
} catch (error) {
  // fetch itself says only "fetch failed" and keeps the reason in cause.
  console.error(`MFA setup failed: ${error.cause?.message || error.cause?.code || error.message}`);
  process.exitCode = 1;
}
