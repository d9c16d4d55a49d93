// Mails when the month's cost of this resource group passes what was planned, and before.

@description('Required. The month\'s budget in the subscription\'s currency.')
@minValue(1)
param amount int

@description('Required. The first day of the month from which it counts, such as 2027-01-01.')
param startDate string

@description('Required. Who is mailed.')
param email string

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'assay'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: {
      soon: { enabled: true, operator: 'GreaterThan', threshold: 80, thresholdType: 'Actual', contactEmails: [email] }
      over: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [email]
      }
    }
  }
}
