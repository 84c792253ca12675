// A death at each named place with every effect class: `npm run chaos`.
import { crashSuite } from './crash-points.ts';

crashSuite({ narrow: false });
