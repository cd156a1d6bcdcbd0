// An identity provider for tests: panva's oidc-provider, which is certified by the
// OpenID Foundation, with one client, and people who never have to type a password.
// Arguments: the client's id, its secret and its redirect address. It says its own
// address, "ISSUER=…", and ends with its input.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [client_id, client_secret, redirect_uri] = process.argv.slice(2);

// Who logs in is whoever was named last, by POST /as/NAME; "nobody" refuses to.
let current = "ann";
const people = {
  ann: { email: "Ann@Example.com", email_verified: true, name: "Ann Lee", groups: ["sre", "two words"] },
  bob: { email: "bob@example.com", email_verified: true, name: "Bob" },
  eve: { email: "ann@example.com", email_verified: false, name: "Ann Lee" },
  mallory: { email: "mallory@evil.example", email_verified: true, name: "Mallory" },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id, client_secret, redirect_uris: [redirect_uri], grant_types: ["authorization_code"], response_types: ["code"] }],
    cookies: { keys: ["of a test"] },
    pkce: { required: () => true },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
    renderError(ctx, out) {
      ctx.type = "text";
      ctx.body = `${out.error}: ${out.error_description}`;
    },
  });
  provider.use(async (ctx, next) => {
    const [, what, which] = ctx.path.split("/");
    if (what === "as" && ctx.method === "POST") {
      current = decodeURIComponent(which);
      ctx.status = 204;
      return;
    }
    if (what !== "interaction") return next();
    const result = current === "nobody" ? { error: "access_denied", error_description: "not today" } : { login: { accountId: current } };
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
    ctx.respond = false;
  });
  server.on("request", provider.callback());
  console.log(`ISSUER=${issuer}`);
});
process.stdin.resume().on("end", () => process.exit());
