"""Where the people of a state or province are, for the large countries that regions divide.

Data, and no decisions: latitude and longitude of the largest city, in degrees, to a tenth, for each
ISO 3166-2 code of the United States, Canada, Australia and Brazil. Written from common knowledge in
2026-11; a test holds each point against the country. Other countries need no table: where regions
divide them, coordinates or the time zone tell more.
"""

from typing import Final

POINTS: Final[dict[str, tuple[float, float]]] = {
    "AU-ACT": (-35.3, 149.1), "AU-NSW": (-33.9, 151.2), "AU-NT": (-12.5, 130.8),
    "AU-QLD": (-27.5, 153.0), "AU-SA": (-34.9, 138.6), "AU-TAS": (-42.9, 147.3),
    "AU-VIC": (-37.8, 145.0), "AU-WA": (-31.9, 115.9),
    "BR-AC": (-10.0, -67.8), "BR-AL": (-9.7, -35.7), "BR-AM": (-3.1, -60.0),
    "BR-AP": (0.0, -51.1), "BR-BA": (-13.0, -38.5), "BR-CE": (-3.7, -38.5),
    "BR-DF": (-15.8, -47.9), "BR-ES": (-20.3, -40.3), "BR-GO": (-16.7, -49.3),
    "BR-MA": (-2.5, -44.3), "BR-MG": (-19.9, -43.9), "BR-MS": (-20.5, -54.6),
    "BR-MT": (-15.6, -56.1), "BR-PA": (-1.5, -48.5), "BR-PB": (-7.1, -34.9),
    "BR-PE": (-8.1, -34.9), "BR-PI": (-5.1, -42.8), "BR-PR": (-25.4, -49.3),
    "BR-RJ": (-22.9, -43.2), "BR-RN": (-5.8, -35.2), "BR-RO": (-8.8, -63.9),
    "BR-RR": (2.8, -60.7), "BR-RS": (-30.0, -51.2), "BR-SC": (-26.3, -48.8),
    "BR-SE": (-10.9, -37.1), "BR-SP": (-23.5, -46.6), "BR-TO": (-10.2, -48.3),
    "CA-AB": (51.0, -114.1), "CA-BC": (49.3, -123.1), "CA-MB": (49.9, -97.1),
    "CA-NB": (46.1, -64.8), "CA-NL": (47.6, -52.7), "CA-NS": (44.6, -63.6),
    "CA-NT": (62.5, -114.4), "CA-NU": (63.7, -68.5), "CA-ON": (43.7, -79.4),
    "CA-PE": (46.2, -63.1), "CA-QC": (45.5, -73.6), "CA-SK": (52.1, -106.7),
    "CA-YT": (60.7, -135.1),
    "US-AK": (61.2, -149.9), "US-AL": (34.7, -86.6), "US-AR": (34.7, -92.3),
    "US-AZ": (33.4, -112.1), "US-CA": (34.1, -118.2), "US-CO": (39.7, -105.0),
    "US-CT": (41.2, -73.2), "US-DC": (38.9, -77.0), "US-DE": (39.7, -75.5),
    "US-FL": (28.0, -81.7), "US-GA": (33.7, -84.4), "US-HI": (21.3, -157.9),
    "US-IA": (41.6, -93.6), "US-ID": (43.6, -116.2), "US-IL": (41.9, -87.6),
    "US-IN": (39.8, -86.2), "US-KS": (37.7, -97.3), "US-KY": (38.3, -85.8),
    "US-LA": (30.0, -90.1), "US-MA": (42.4, -71.1), "US-MD": (39.3, -76.6),
    "US-ME": (43.7, -70.3), "US-MI": (42.3, -83.0), "US-MN": (45.0, -93.3),
    "US-MO": (39.1, -94.6), "US-MS": (32.3, -90.2), "US-MT": (45.8, -108.5),
    "US-NC": (35.2, -80.8), "US-ND": (46.9, -96.8), "US-NE": (41.3, -95.9),
    "US-NH": (43.0, -71.5), "US-NJ": (40.7, -74.2), "US-NM": (35.1, -106.6),
    "US-NV": (36.2, -115.1), "US-NY": (40.7, -74.0), "US-OH": (40.0, -83.0),
    "US-OK": (35.5, -97.5), "US-OR": (45.5, -122.7), "US-PA": (40.0, -75.2),
    "US-RI": (41.8, -71.4), "US-SC": (32.8, -79.9), "US-SD": (43.5, -96.7),
    "US-TN": (36.2, -86.8), "US-TX": (29.8, -95.4), "US-UT": (40.8, -111.9),
    "US-VA": (36.9, -76.0), "US-VT": (44.5, -73.2), "US-WA": (47.6, -122.3),
    "US-WI": (43.0, -87.9), "US-WV": (38.3, -81.6), "US-WY": (41.1, -104.8),
}  # fmt: skip
