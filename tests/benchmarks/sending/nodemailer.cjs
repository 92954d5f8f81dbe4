// node nodemailer.cjs PORT COUNT LETTER.json: nodemailer, pooled, four connections; prints the seconds.
const nodemailer = require("nodemailer");
const fs = require("fs");
const [port, count] = process.argv.slice(2, 4).map(Number);
const letter = JSON.parse(fs.readFileSync(process.argv[4], "utf8"));
const fill = (words, name) => words.replaceAll("{{ name }}", name).replaceAll("{{ plan }}", "pro");
const transport = nodemailer.createTransport({
  pool: true, maxConnections: 4, maxMessages: Infinity, host: "127.0.0.1", port, secure: false, ignoreTLS: true,
});
const send = (number) => {
  const name = `Ana ${number}`;
  return transport.sendMail({
    from: "Us <us@example.com>", to: `${name} <person${number}@example.com>`, subject: `News for ${name}`,
    text: fill(letter.text, name), html: fill(letter.html, name),
  });
};
(async () => {
  const begun = process.hrtime.bigint();
  let next = 0;
  const lane = async () => { while (next < count) await send(next++); };
  await Promise.all(Array.from({ length: 16 }, lane));
  console.log(Number(process.hrtime.bigint() - begun) / 1e9);
  transport.close();
})();
