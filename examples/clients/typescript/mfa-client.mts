// A client of the MFA API that runs in Node and in browsers alike.

export type MfaType = 'GOOGLE_AUTH' | 'MAGIC_LINK' | 'PASSKEY';

export interface SetupRequest {
  mfaType: MfaType;
  email?: string;
  deviceInfo?: { name: string; type: string };
}

/** What the setup of an authenticator app answers. */
export interface AuthenticatorSetup {
  /** Base32, for typing it into the app by hand. */
  secret: string;
  /** A PNG as a data URL, for the `src` of an image. */
  qrCode: string;
  backupCodes: string[];
  otpauthUrl?: string;
  /** RFC 3339. */
  expiresAt?: string;
}

export interface Success<T> {
  success: true;
  data: T;
}

export interface Failure {
  success: false;
  error: string;
  code?: string;
}

/** Thrown for every answer other than 200. */
export class MfaError extends Error {
  override readonly name = 'MfaError';

  constructor(
    readonly status: number,
    message: string,
    readonly code?: string,
  ) {
    super(message);
  }
}

export class MfaClient {
  constructor(
    private readonly baseURL: string,
    private readonly accessToken: string,
  ) {}

  setupAuthenticator(request: Omit<SetupRequest, 'mfaType'> = {}): Promise<Success<AuthenticatorSetup>> {
    const body: SetupRequest = { mfaType: 'GOOGLE_AUTH', ...request };
    return this.makeRequest<Success<AuthenticatorSetup>>('mfa/setup', 'POST', body);
  }

  async makeRequest<T>(path: string, method: 'GET' | 'POST', body?: object): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 10_000);
    try {
      const response = await fetch(new URL(`/${path}`, this.baseURL), {
        method,
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          Authorization: `Bearer ${this.accessToken}`,
        },
        body: body && JSON.stringify(body),
        signal: abort.signal,
      });
      if (response.status !== 200) {
        // A proxy in between may refuse with something other than JSON.
        const refusal: Partial<Failure> | null = await response.json().catch(() => null);
        throw new MfaError(response.status, refusal?.error ?? `the server answered ${response.status}`, refusal?.code);
      }
      return await response.json();
    } finally {
      clearTimeout(timer);
    }
  }
}
