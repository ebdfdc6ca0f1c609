import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

// Draws examples/sample.jpg, a picture to try Darkroom with: npm run build && node dist/examples/make-sample.js

const HILLS = [
  { colour: '#7fa08a', path: 'M0 420 Q160 340 330 400 T640 370 L640 480 L0 480 Z' },
  { colour: '#4f7a58', path: 'M0 450 Q200 390 380 440 T640 420 L640 480 L0 480 Z' },
];

/** Stripes of the envelope: ellipses with one axis, drawn from the widest to the narrowest. */
const STRIPES = [
  { colour: '#c0392b', width: 118 },
  { colour: '#f2c14e', width: 86 },
  { colour: '#c0392b', width: 52 },
  { colour: '#f2c14e', width: 20 },
];

const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480">
  <defs>
    <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#4a90d9"/><stop offset="1" stop-color="#dcebf7"/>
    </linearGradient>
    <radialGradient id="light" cx="0.32" cy="0.28" r="0.8">
      <stop offset="0" stop-color="#fff" stop-opacity="0.45"/><stop offset="1" stop-color="#000" stop-opacity="0.35"/>
    </radialGradient>
    <clipPath id="envelope"><path d="M202 158 A118 118 0 1 1 438 158 Q438 220 346 296 L294 296 Q202 220 202 158 Z"/></clipPath>
  </defs>
  <rect width="640" height="480" fill="url(#sky)"/>
  <g fill="#fff" opacity="0.8">
    <ellipse cx="110" cy="110" rx="60" ry="18"/><ellipse cx="145" cy="98" rx="40" ry="20"/>
    <ellipse cx="530" cy="190" rx="55" ry="15"/><ellipse cx="505" cy="180" rx="32" ry="16"/>
  </g>
  ${HILLS.map(({ colour, path }) => `<path fill="${colour}" d="${path}"/>`).join('')}
  <g clip-path="url(#envelope)">
    ${STRIPES.map(({ colour, width }) => `<ellipse cx="320" cy="170" rx="${width}" ry="150" fill="${colour}"/>`).join('')}
    <rect x="202" y="40" width="236" height="256" fill="url(#light)"/>
  </g>
  <path d="M296 296 L303 338 M344 296 L337 338 M313 296 L315 338 M327 296 L325 338" stroke="#4a3222" stroke-width="2"/>
  <rect x="300" y="338" width="40" height="30" rx="4" fill="#8a5a33"/>
  <path d="M300 347 H340 M300 357 H340" stroke="#5f3c20" stroke-width="2"/>
</svg>`;

const target = fileURLToPath(new URL('../../examples/sample.jpg', import.meta.url));
await sharp(Buffer.from(svg)).jpeg({ quality: 88, mozjpeg: true }).toFile(target);
