// A death at each named place, with every effect class where the class makes a difference.
import { crashSuite } from './crash-points.ts';

crashSuite({ narrow: true });
