// Entra as far as a sign-in meets it: oidc-provider at Entra's addresses, with Entra's claims, over https. `twist` says
// what is wrong with the next tokens; the tokens are otherwise the provider's own.

import { constants, createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

export const HOME = '1111aaaa-2222-4333-8444-555555555555';
export const CLIENT_ID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
export const OWNER = '0a0a0a0a-0b0b-4c0c-8d0d-0e0e0e0e0e0e';
export const SECRET = 'the app registration of this run only, and of no other';

/** Who can sign in there, by what they type. */
const PEOPLE = {
  olivia: { oid: OWNER, name: 'Olivia Hart' },
  priya: { oid: '0b0b0b0b-0b0b-4c0c-8d0d-0e0e0e0e0e0e', name: 'Priya Nair' },
};

export class Authority {
  /** `audience`, `nonce`, `expired`, `alg-none`, `hs256`, `proved-long-ago`, or undefined when all is well. */
  twist;
  keys = [newKey()];

  static async start({ port, cert, key, base }) {
    const authority = new Authority();
    // The provider's advice to those who run it in earnest.
    console.info = console.warn = () => {};
    const origin = `https://127.0.0.1:${port}`;
    const provider = authority.provider(origin, base);
    const serve = (at, answer) => new Promise((resolve, reject) => {
      const server = createServer({ cert, key }, answer);
      server.on('error', reject).listen(at, '127.0.0.1', () => resolve(server));
    });
    // People of a federated directory are led on to another origin, of which Assay knows nothing, and from there back.
    const lead = (response, location) => response.writeHead(302, { location }).end();
    const servers = await Promise.all([
      serve(port, (request, response) => {
        const here = new URL(request.url, origin);
        const begins = here.pathname === `/${HOME}/oauth2/v2.0/authorize` && !here.searchParams.has('federated');
        return begins ? lead(response, `https://127.0.0.1:${port + 1}${request.url}`) : provider(request, response);
      }),
      serve(port + 1, (request, response) => lead(response, `${origin}${request.url}&federated=yes`)),
    ]);
    authority.close = () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    };
    return authority;
  }

  /** Another key signs from now on, and only that one is published. */
  rotate() {
    this.keys.push(newKey());
  }

  get key() {
    return this.keys.at(-1);
  }

  provider(origin, base) {
    const provider = new Provider(`${origin}/${HOME}/v2.0`, {
      clients: [{
        client_id: CLIENT_ID,
        client_secret: SECRET,
        redirect_uris: [`${base}/api/portal/signed-in`],
        token_endpoint_auth_method: 'client_secret_post',
        response_types: ['code'],
        require_auth_time: true,
      }],
      routes: {
        authorization: `/${HOME}/oauth2/v2.0/authorize`,
        token: `/${HOME}/oauth2/v2.0/token`,
        jwks: `/${HOME}/discovery/v2.0/keys`,
        end_session: `/${HOME}/oauth2/v2.0/logout`,
      },
      cookies: { keys: [createHash('sha256').update(SECRET).digest('hex')] },
      jwks: { keys: [this.keys[0].private] },
      conformIdTokenClaims: false,
      claims: { openid: ['sub', 'tid', 'oid', 'ver', 'acct', 'rh', 'uti'], profile: ['name', 'preferred_username'], email: [] },
      pkce: { required: () => true },
      // The registration is the MSP's own app: nobody is asked for consent.
      loadExistingGrant: async (ctx) => {
        const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
        grant.addOIDCScope('openid profile email');
        await grant.save();
        return grant;
      },
      findAccount: (ctx, id) => ({
        accountId: id,
        claims: () => ({
          sub: `pairwise-${id}`,
          tid: HOME,
          oid: PEOPLE[id].oid,
          ver: '2.0',
          acct: 0,
          name: PEOPLE[id].name,
          preferred_username: `${id}@northgate.example`,
          rh: '0.AUEA',
          uti: 'fqiBqXLPj0eQa82S-IYFAA',
        }),
      }),
    });
    provider.use(async (ctx, next) => {
      // The one address of Entra's that the provider keeps at its own root.
      if (ctx.path === `/${HOME}/v2.0/.well-known/openid-configuration`) ctx.path = '/.well-known/openid-configuration';
      await next();
      if (ctx.oidc?.route === 'token' && ctx.body?.id_token) ctx.body.id_token = this.token(ctx.body.id_token);
      if (ctx.oidc?.route === 'jwks') ctx.body = { keys: [{ ...this.key.public, issuer: `${origin}/{tenantid}/v2.0` }] };
    });
    return provider.callback();
  }

  /** The provider's token, signed by the present key, with what is twisted about it. */
  token(made) {
    const claims = JSON.parse(Buffer.from(made.split('.')[1], 'base64url'));
    claims.nbf = claims.iat;
    // An open sign-in is older than the session that comes of it; only who is asked again proves anything anew.
    if (this.twist === 'proved-long-ago') claims.auth_time = claims.iat - 3600;
    if (this.twist === 'audience') claims.aud = 'bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee';
    if (this.twist === 'nonce') claims.nonce = 'of-another-sign-in';
    if (this.twist === 'expired') Object.assign(claims, { iat: claims.iat - 7200, nbf: claims.iat - 7200, exp: claims.iat - 3600 });
    const alg = { 'alg-none': 'none', hs256: 'HS256' }[this.twist] ?? 'RS256';
    const text = [{ typ: 'JWT', alg, kid: this.key.public.kid }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    if (alg === 'none') return `${text}.`;
    const signature = alg === 'HS256'
      ? createHmac('sha256', Buffer.from(this.key.public.n, 'base64url')).update(text).digest()
      : sign('sha256', Buffer.from(text), { key: this.key.object, padding: constants.RSA_PKCS1_PADDING });
    return `${text}.${signature.toString('base64url')}`;
  }
}

function newKey() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(jwk.n).digest('base64url').slice(0, 27);
  const more = { kid, use: 'sig', alg: 'RS256' };
  return { object: privateKey, private: { ...privateKey.export({ format: 'jwk' }), ...more }, public: { ...jwk, ...more } };
}
