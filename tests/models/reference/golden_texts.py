"""The batches of the golden files. Mails are written for this purpose: no private mail is copied."""

HARD = [
    "...",
    "!",
    "Terrible",
    "zxqv wvutz qqjkx",                       # unknown to every vocabulary
    "\U0001F600 \U0001F44D\U0001F3FD loved it \u2764\uFE0F",
    "Le cr\u00e8me br\u00fbl\u00e9e \u00e0 la carte \u00e9tait d\u00e9licieuse \u2014 na\u00efve fa\u00e7ade!",
    "cafe\u0301 cre\u0300me, decomposed accents",
    "\u4f60\u597d, \u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439, \u0393\u03b5\u03b9\u03ac \u03a3\u0391\u03a3",
    "   tabs\tand\nnew   lines\u00a0and  spaces   ",
    "don't can't won't it's 50% off $19.99 e-mail@example.org http://example.org/a?b=c",
]


def sentiment(held_out):
    by_length = sorted(held_out, key=lambda text: (len(text), text))
    pick = [by_length[(2 * i + 1) * len(by_length) // 72] for i in range(36)]
    endless = "the food was good but the service was slow and " * 40 + "I hated it."
    return [
        ["This is great."],
        ["I would not recommend this to anyone."],
        [HARD[0]], [HARD[2]], [HARD[3]], [HARD[4]], [endless],
        [pick[0], pick[35]],
        [HARD[5], HARD[6]],
        [HARD[1], endless],
        [pick[1], pick[20], pick[34], pick[8], pick[15]],
        [HARD[7], pick[30], HARD[8], pick[3], HARD[9]],
        pick[4:8] + pick[9:13],
        [pick[33], HARD[0], pick[2], HARD[2], pick[25], HARD[4], pick[18], HARD[3]],
        pick[21:25] + pick[26:30],
    ]


def mails():
    ham = [
        "Re: build fails on Debian\n\nHi,\nI see the same error with gcc 3.2. Does the patch from last week help? "
        "If not, please send me the full log and the output of configure.\n\nThanks,\nAnna",
        "lunch on Thursday?\n\nShall we meet at noon in front of the library? I will bring the book that you lent me.",
        "Minutes of the meeting\n\nAttached are the minutes. Please correct what is wrong before Friday. The next "
        "meeting is in room 4, after the seminar on file systems.",
        "Re: [patch] fix off by one\n\n> The loop runs one time too often when the list is empty.\n\nYou are right, "
        "applied. I added a test as well. The kernel of the problem was the sentinel.",
        "thanks",
        "mutt question\n\nHow do I make mutt save sent mail to the folder of the thread? I read the manual but the "
        "fcc-hook that I wrote never matches.",
        "Re: Java vs Perl\n\nOn Tuesday Tom wrote:\n> Speed is not everything.\n\nI agree, but a factor of ten is "
        "hard to explain to users, and so is the memory.",
    ]
    spam = [
        "MAKE MONEY FAST!!!\n\nYou have been selected! Earn $5,000 per week from home with NO experience and NO risk. "
        "Click here NOW to receive your FREE report. To be removed from our list reply with REMOVE in the subject.",
        "Lowest mortgage rates in 40 years\n\nRefinance today and save thousands. Bad credit? No problem! Fill out the "
        "quick form and lenders will compete for your loan. 100% free, no obligation.",
        "URGENT BUSINESS PROPOSAL\n\nDear Sir, I am the son of the late minister of finance. I need your assistance "
        "to transfer the sum of US$25,000,000 to your account. You will receive 20% for your confidential help.",
        "Lose weight while you sleep\n\nOrder the amazing new pills now and get one bottle free. Money back "
        "guarantee! This offer expires soon. Unsubscribe below.",
        "Viagra online\n\nNo prescription needed. Order now, discreet shipping, best price guaranteed!!!",
        "Free adult site\n\nClick below for instant access. You must be over 18. Credit card required.",
        "Your own 12 million e-mail addresses on CD\n\nReach millions of customers! Only $49.95. Call toll free now.",
    ]
    endless = "Re: weekly digest\n\n" + "The list server was down on Monday and the archive is being rebuilt. " * 60
    return [
        [ham[0]], [spam[0]], [HARD[0]], [HARD[2]], [HARD[3]], [HARD[4]], [endless],
        [ham[1], spam[1]],
        [HARD[5], HARD[6]],
        [HARD[1], endless],
        [spam[2], ham[4], ham[2], spam[4], ham[3]],
        [HARD[7], spam[3], HARD[8], ham[5], HARD[9]],
        [ham[0], spam[0], ham[1], spam[1], ham[6], spam[5], ham[4], spam[6]],
        [HARD[0], ham[3], HARD[2], spam[2], HARD[4], spam[4], HARD[3], ham[2]],
        [spam[3], spam[6], ham[5], HARD[9], ham[6], spam[5], HARD[1], spam[0]],
    ]
